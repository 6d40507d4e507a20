"""What is shown, against the same question in SQL."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from render import frame, plot
from render.axes import axes
from taxonomy.model import load

Site = Callable[..., Path]
Open = Callable[..., Any]

COLUMNS = {axis.key: axis.column for axis in axes(load())}
LISTS = {axis.key for axis in axes(load()) if axis.kind == "slugs"}
SLUGS = {"subject", "provenance", "format", "stage", "traits"}
SHOWN = "() => hfmap.data.id.filter((_, i) => hfmap.store.shown()[i]).sort()"


def test_fifty_random_combinations_equal_the_same_query_in_sql(site: Site, opened: Open) -> None:
    folder = site(600)
    tab = opened(folder)
    rng = random.Random(11)
    facts = tab.evaluate(
        """() => ({
          words: hfmap.config.vocabularies,
          edges: Object.fromEntries([...hfmap.ranges.ranges].map(([key, range]) => [key, range.edges])),
        })"""
    )
    sizes = set()
    with contextlib.closing(sqlite3.connect(folder.parent / "hfmap.sqlite")) as conn:
        coords = plot.prepare(frame.read(conn)).coords
        ids = [row[0] for row in conn.execute("SELECT repo_id FROM dataset WHERE on_map = 1 ORDER BY 1")]
        for _ in range(50):
            tab.evaluate("() => hfmap.store.reset()")
            where: list[str] = ["on_map = 1"]
            for key in rng.sample(list(COLUMNS), rng.randrange(0, 4)):
                allowed = rng.sample(range(len(facts["words"][key])), rng.randrange(1, len(facts["words"][key])))
                tab.evaluate("([key, codes]) => hfmap.filters.allow(key, codes)", [key, allowed])
                where.append(in_sql(key, [facts["words"][key][code] for code in allowed]))
            for key in rng.sample(["likes", "downloads"], rng.randrange(0, 2)):
                edges = facts["edges"][key]
                low, high = sorted(rng.sample(range(len(edges)), 2))
                tab.evaluate("([key, low, high]) => hfmap.ranges.narrow(key, low, high)", [key, low, high])
                where.append(
                    f"{key} >= {edges[low]}" + (f" AND {key} < {edges[high]}" if high < len(edges) - 1 else "")
                )
            if rng.random() < 0.4:
                word = rng.choice(["radiology", "parallel", "dialogue"])
                tab.evaluate("word => hfmap.search.set(word)", word)
                where.append(f"lower(repo_id || ' ' || coalesce(pretty_name, '') || ' ' || summary) LIKE '%{word}%'")
            if rng.random() < 0.4:
                words = facts["words"]["modality"]
                named = [word for word in words if word != "Other"][:9]
                entry = rng.randrange(len(named))
                tab.evaluate("entry => hfmap.colors.choose('modality', [entry])", entry)
                where.append(in_sql("modality", [named[entry]]))
            if rng.random() < 0.4:
                west, east = sorted(rng.uniform(-14, 14) for _ in range(2))
                box = [[west, -9], [east, -9], [east, 9], [west, 9]]
                tab.evaluate("box => hfmap.lasso.choose(box)", box)
                inside = [i for i, (x, y) in zip(ids, coords, strict=True) if west < x < east and -9 < y < 9]
                where.append(f"repo_id IN (SELECT value FROM json_each({quoted(json.dumps(inside))}))")
            expected = [row[0] for row in conn.execute(f"SELECT repo_id FROM datasets WHERE {' AND '.join(where)}")]
            assert tab.evaluate(SHOWN) == sorted(expected), where
            sizes.add(len(expected))
    assert len(sizes) > 20, "the combinations tell something"


def in_sql(key: str, labels: list[str]) -> str:
    """The condition that a column has one of the values that the page shows as these labels."""
    column = COLUMNS[key]
    slug = key in SLUGS
    wanted = ", ".join(quoted(label) for label in labels)
    # The page's words for a value, said in SQL.
    spell = "replace(replace({}, '-', ' '), '_', ' ')" if slug else "{}"
    if key in LISTS:
        some = f"EXISTS (SELECT 1 FROM json_each({column}) e WHERE {same(spell.format('e.value'), wanted)})"
        empty = "None" if key == "traits" else "Unknown"
        parts = [some]
        if empty in labels:
            parts.append(f"{column} = '[]'")
        if "Unknown" in labels:
            parts.append(f"{column} IS NULL")
        return f"({' OR '.join(parts)})"
    return same(f"coalesce({spell.format(column)}, 'Unknown')", wanted)


def same(value: str, wanted: str) -> str:
    return f"{value} COLLATE NOCASE IN ({wanted})"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_counts_follow_the_other_filters(site: Site, opened: Open) -> None:
    tab = opened(site(600))
    tab.get_by_role("button", name="Filter", exact=True).click()
    for heading in ("Task", "Modality"):
        tab.locator(".facet summary", has_text=heading).click()
    task = tab.locator(".facet", has_text="Task")
    rows = task.locator("li")
    first = rows.first.locator("label")
    before = tab.locator("#count").inner_text()
    rows.nth(1).hover()
    rows.nth(1).get_by_role("button").click()
    only = int(rows.nth(1).locator(".facet-count").inner_text())
    assert tab.locator("#count").inner_text() == f"{only} of 600 datasets"
    assert int(rows.first.locator(".facet-count").inner_text()) > 0, "what a box would bring, were it checked"
    modality = tab.locator(".facet", has_text="Modality").locator(".facet-count").all_inner_texts()
    assert sum(map(int, modality)) == only
    first.click()
    assert tab.locator("#count").inner_text() != f"{only} of 600 datasets"
    task.get_by_role("button", name="None of Task").click()
    assert tab.locator("#count").inner_text() == "0 of 600 datasets"
    assert tab.locator("#note").is_visible()
    task.get_by_role("button", name="All of Task").click()
    assert tab.locator("#count").inner_text() == before


def test_ranges_by_keyboard_and_by_brush(site: Site, opened: Open) -> None:
    tab = opened(site(600))
    tab.get_by_role("button", name="Filter", exact=True).click()
    slider = tab.get_by_label("Likes, lowest")
    slider.focus()
    for _ in range(5):
        tab.keyboard.press("ArrowRight")
    edge = tab.evaluate("() => hfmap.ranges.ranges.get('likes').edges[5]")
    shown = tab.evaluate("edge => hfmap.data.likes.filter(v => v >= edge).length", edge)
    assert tab.locator("#count").inner_text() == f"{shown} of 600 datasets"
    tab.locator("#reset").click()
    assert tab.locator("#count").inner_text() == "600 datasets"

    plotted = tab.locator(".range", has_text="Created").locator(".range-plot")
    plotted.scroll_into_view_if_needed()
    box = plotted.bounding_box()
    tab.mouse.move(box["x"] + 2, box["y"] + 20)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20, steps=4)
    tab.mouse.up()
    assert " of 600" in tab.locator("#count").inner_text()
    label = tab.locator(".range", has_text="Created").locator(".range-label").inner_text()
    assert label.startswith("2021 – ")
    tab.mouse.click(box["x"] + 10, box["y"] + 20)
    assert tab.locator("#count").inner_text() == "600 datasets"


def test_the_address_holds_the_view(site: Site, opened: Open) -> None:
    folder = site(600)
    tab = opened(folder)
    tab.evaluate("() => { hfmap.filters.allow('task', [0, 1]); hfmap.emit('changed'); }")
    tab.wait_for_function("() => location.hash.includes('f.task=')")
    tab.evaluate("() => { hfmap.ranges.narrow('likes', 3, 20); hfmap.search.set('e'); }")
    tab.wait_for_function("() => location.hash.includes('r.likes=') && location.hash.includes('q=e')")
    tab.evaluate("() => { hfmap.colors.choose('modality', [1]); hfmap.drawer.open(7); }")
    tab.wait_for_function("() => location.hash.includes('dataset=') && location.hash.includes('color=modality')")
    tab.evaluate("() => hfmap.map.flyTo({longitude: 3, latitude: 1, zoom: 7}, 0)")
    tab.wait_for_function("() => location.hash.includes('at=3.000,1.000,7.000')")
    shown = tab.evaluate(SHOWN)
    assert 0 < len(shown) < 600

    other = opened(folder, suffix="#" + tab.evaluate("() => location.hash.slice(1)"))
    assert other.evaluate(SHOWN) == shown
    assert other.evaluate("() => hfmap.drawer.current()") == 7
    assert other.evaluate("() => hfmap.colors.key()") == "modality"
    assert other.evaluate("() => hfmap.map.view()") == pytest.approx({"longitude": 3, "latitude": 1, "zoom": 7})

    tab.go_back()
    tab.wait_for_function("() => !location.hash.includes('dataset=')")
    assert tab.evaluate("() => hfmap.drawer.current()") == -1
    tab.go_back()
    tab.wait_for_function("() => !location.hash.includes('q=e')")
    assert tab.input_value("#search") == ""
    assert tab.evaluate(SHOWN) == tab.evaluate(
        "() => hfmap.data.id.filter((_, i) => [0, 1].includes(hfmap.data.code_task[i])).sort()"
    )
    tab.go_forward()
    tab.wait_for_function("() => location.hash.includes('q=e')")
    assert tab.input_value("#search") == "e"
