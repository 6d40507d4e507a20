"""What is shown, against the same question in SQL."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Site = Callable[..., Path]
Open = Callable[..., Any]

# Said here once more, so that the page's own code has no part in what is expected of it.
COLUMNS = {
    "task": "task_category", "modality": "modality", "licence": "license_family", "size": "size_category",
    "language": "language", "subject": "subject_domain", "provenance": "provenance_method", "stage": "training_stage",
    "format": "format_convention", "role": "role", "traits": "special_characteristics",
}  # fmt: skip
LISTS = {"stage", "traits"}
TEXT = ["repo_id", "pretty_name", "summary", "license", *COLUMNS.values()]
QUERIES = ["radiology", "Parallel", "dialogue german", "human created", "audio  street", "raw corpus eval"]
# Coordinates of the map: the mean in the middle, the farthest point fifteen degrees away.
PLACED = """WITH middle AS (SELECT avg(x) AS x, avg(y) AS y FROM datasets WHERE on_map = 1),
    reach AS (SELECT max(max(abs(d.x - m.x), abs(d.y - m.y))) AS far FROM datasets d, middle m WHERE on_map = 1)
SELECT repo_id FROM datasets d, middle m, reach
WHERE (d.x - m.x) * 15 / far BETWEEN {west} AND {east} AND (d.y - m.y) * 15 / far BETWEEN -9 AND 9"""
SLUGS = {"subject", "provenance", "format", "stage", "traits"}
SHOWN = "() => hfmap.data.id.filter((_, i) => hfmap.store.shown()[i]).sort()"


def test_fifty_random_combinations_equal_the_same_query_in_sql(site: Site, opened: Open) -> None:
    folder = site(400)
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
        assert set(facts["words"]) - {"primary"} == set(COLUMNS)
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
                query = rng.choice(QUERIES)
                tab.evaluate("query => hfmap.search.set(query)", query)
                hay = " || ' ' || ".join(f"coalesce({column}, 'Unknown')" for column in TEXT)
                hay = f"lower({hay} || ' ' || replace(replace({hay}, '-', ' '), '_', ' '))"
                where += [f"{hay} LIKE '%{term}%'" for term in query.lower().split()]
            if rng.random() < 0.5:
                key = rng.choice(["modality", "subject", "language", "format", "role"])
                words = facts["words"][key]
                named = [word for word in words if word not in ("Other", "Unknown", "Not stated")][:9]
                entries = rng.sample(range(len(named) + (len(named) < len(words))), rng.randrange(1, 3))
                tab.evaluate("([key, entries]) => hfmap.colors.choose(key, entries)", [key, entries])
                picked = [named[entry] for entry in entries if entry < len(named)]
                if len(picked) < len(entries):
                    picked += [word for word in words if word not in named]
                where.append(in_sql(key, picked))
            if rng.random() < 0.4:
                west, east = sorted(rng.uniform(-14, 14) for _ in range(2))
                box = [[west, -9], [east, -9], [east, 9], [west, 9]]
                tab.evaluate("box => hfmap.lasso.choose(box)", box)
                where.append(f"repo_id IN ({PLACED.format(west=west, east=east)})")
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
    tab = opened(site(400))
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
    assert tab.locator("#count").inner_text() == f"{only} of 400 datasets"
    assert int(rows.first.locator(".facet-count").inner_text()) > 0, "what a box would bring, were it checked"
    modality = tab.locator(".facet", has_text="Modality").locator(".facet-count").all_inner_texts()
    assert sum(map(int, modality)) == only
    first.click()
    assert tab.locator("#count").inner_text() != f"{only} of 400 datasets"
    task.get_by_role("button", name="None of Task").click()
    assert tab.locator("#count").inner_text() == "0 of 400 datasets"
    assert tab.locator("#note").is_visible()
    task.get_by_role("button", name="All of Task").click()
    assert tab.locator("#count").inner_text() == before


def test_ranges_by_keyboard_and_by_brush(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    tab.get_by_role("button", name="Filter", exact=True).click()
    slider = tab.get_by_label("Likes, lowest")
    slider.focus()
    for _ in range(5):
        tab.keyboard.press("ArrowRight")
    edge = tab.evaluate("() => hfmap.ranges.ranges.get('likes').edges[5]")
    shown = tab.evaluate("edge => hfmap.data.likes.filter(v => v >= edge).length", edge)
    assert tab.locator("#count").inner_text() == f"{shown} of 400 datasets"
    tab.locator("#reset").click()
    assert tab.locator("#count").inner_text() == "400 datasets"

    plotted = tab.locator(".range", has_text="Created").locator(".range-plot")
    plotted.scroll_into_view_if_needed()
    box = plotted.bounding_box()
    tab.mouse.move(box["x"] + 2, box["y"] + 20)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20, steps=4)
    tab.mouse.up()
    assert " of 400" in tab.locator("#count").inner_text()
    label = tab.locator(".range", has_text="Created").locator(".range-label").inner_text()
    assert label.startswith("2021 – ")
    tab.mouse.click(box["x"] + 10, box["y"] + 20)
    assert tab.locator("#count").inner_text() == "400 datasets"


def test_the_address_holds_the_view(site: Site, opened: Open) -> None:
    folder = site(400)
    tab = opened(folder)
    tab.evaluate("() => { hfmap.filters.allow('task', [0, 1]); hfmap.emit('changed'); }")
    tab.wait_for_function("() => location.hash.includes('f.task=')")
    tab.evaluate("() => { hfmap.ranges.narrow('likes', 3, 20); hfmap.search.set('e'); }")
    tab.wait_for_function("() => location.hash.includes('r.likes=') && location.hash.includes('q=e')")
    tab.evaluate("() => { hfmap.colors.choose('modality', [1]); hfmap.drawer.open(7); }")
    tab.wait_for_function("() => location.hash.includes('dataset=') && location.hash.includes('color=modality')")
    tab.evaluate("() => hfmap.map.flyTo({longitude: 3, latitude: 1, zoom: 7}, 0)")
    tab.wait_for_function("() => location.hash.includes('at=3.000,1.000,7.000')")
    word = tab.evaluate("() => hfmap.fields.words('modality')[1]")
    assert f"legend={word}" in tab.evaluate("() => location.hash"), "by name: the next map may number it otherwise"
    tab.evaluate("() => hfmap.lasso.choose([[-15, -15], [9, -15], [9, 15], [-15, 15]])")
    tab.evaluate("() => hfmap.emit('changed')")
    tab.wait_for_function("() => location.hash.includes('lasso=-15,-15,9,-15,9,15,-15,15')")
    shown = tab.evaluate(SHOWN)
    assert 0 < len(shown) < 400

    other = opened(folder, suffix="#" + tab.evaluate("() => location.hash.slice(1)"))
    assert other.evaluate(SHOWN) == shown
    assert other.evaluate("() => hfmap.drawer.current()") == 7
    assert other.evaluate("() => hfmap.colors.key()") == "modality"
    assert other.evaluate("() => hfmap.map.view()") == pytest.approx({"longitude": 3, "latitude": 1, "zoom": 7})

    tab.go_back()
    tab.wait_for_function("() => !location.hash.includes('lasso=')")
    assert tab.locator("#selection").is_hidden()
    assert tab.evaluate("() => hfmap.drawer.current()") == 7
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


def test_a_link_to_a_dataset_that_has_left_the_map_says_so(site: Site, opened: Open) -> None:
    tab = opened(
        site(400), suffix="#q=radiology&dataset=gone/<img src=x onerror=alert(1)>&f.task=Gone&color=gone&at=x,y,z"
    )
    drawer = tab.locator("#drawer")
    assert "gone/<img src=x onerror=alert(1)>" in drawer.inner_text()
    assert "not on this map" in drawer.inner_text()
    assert tab.evaluate("() => hfmap.colors.key()") == "topics"
    assert tab.evaluate(SHOWN) == [], "no dataset has that task"
    tab.keyboard.press("Escape")
    assert drawer.is_hidden()
    tab.locator("#reset").click()
    assert tab.inner_text("#count") == "400 datasets"
