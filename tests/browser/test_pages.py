"""Whole pages as people have them: the sample's, one of 5,000 datasets, and one under another taxonomy."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from render.page import page
from tests.conftest import Run
from tests.render.own import fill_own

from .conftest import settle

Open = Callable[..., Any]
SHOWN = "() => hfmap.store.shown().reduce((a, b) => a + b)"


def test_the_page_of_the_sample(sample: Path, opened: Open) -> None:
    assert {path.name for path in sample.parent.glob("*.png")} == {"map.png", "map-dark.png"}
    with contextlib.closing(sqlite3.connect(sample.parent / "hfmap.sqlite")) as conn:
        (total,) = conn.execute("SELECT count(*) FROM datasets WHERE on_map = 1").fetchone()
        subject, count = conn.execute(
            "SELECT subject_domain, count(*) FROM datasets WHERE on_map = 1 AND subject_domain <> 'not_stated'"
            " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
        ).fetchone()
    tab = opened(sample)
    settle(tab)
    assert tab.locator("meta[property='og:image']").get_attribute("content") == "preview.png"
    assert (sample / "preview.png").is_file()
    assert tab.inner_text("#count") == f"{total} datasets"
    assert tab.evaluate("() => hfmap.labels.shown().length") > 1
    word = subject.replace("-", " ").capitalize()
    code = tab.evaluate("word => hfmap.fields.words('subject').indexOf(word)", word)
    tab.evaluate("code => hfmap.filters.allow('subject', [code])", code)
    assert tab.evaluate(SHOWN) == count
    tab.evaluate("() => { hfmap.store.reset(); hfmap.drawer.open(0); }")
    tab.wait_for_selector("#drawer .claims")
    assert tab.locator("#drawer .near button").count() == 10
    tab.get_by_role("link", name="Methodology").click()
    tab.wait_for_url("**/methodology.html")
    assert f"{total} datasets" in tab.inner_text("body")


def test_five_thousand_datasets(large: Path, opened: Open) -> None:
    assert (large / "index.html").stat().st_size <= 5_000_000
    tab = opened(large)
    settle(tab)
    assert tab.inner_text("#count") == "5,000 datasets"
    tab.fill("#search", "radiology")
    tab.wait_for_function("() => / of 5,000 datasets/.test(document.querySelector('#count').textContent)")
    found = tab.evaluate(SHOWN)
    tab.evaluate("() => hfmap.filters.allow('stage', [0])")
    assert 0 < tab.evaluate(SHOWN) < found
    tab.evaluate("() => hfmap.colors.choose('likes')")
    tab.evaluate("() => hfmap.drawer.open(4_321)")
    tab.wait_for_selector("#drawer .claims")
    assert "data/" in tab.evaluate("() => [...document.querySelectorAll('head script[src]')].map(s => s.src).join()")
    assert len(list((large / "data").iterdir())) == 25
    tab.locator("#reset").click()
    assert tab.inner_text("#count") == "5,000 datasets"


def test_what_a_second_run_brought_has_colours_of_its_own(draw_hfmap: Run, tmp_path: Path, opened: Open) -> None:
    cards = tmp_path / "cards.jsonl"
    words = "recordings of street sounds in Lyon with annotations by three listeners each. " * 4

    def run(texts: dict[str, str]) -> None:
        cards.write_text("".join(json.dumps({"id": id_, "card": text}) + "\n" for id_, text in texts.items()))
        draw_hfmap("sync", "--source", cards, "--quiet")

    texts = {f"org/set-{k}": f"# Set {k}\n\nThe {k}th set: {words}" for k in range(10)}
    run(texts)
    tab = opened(tmp_path / "site")
    assert tab.locator("#colormap option[value=novelty]").count() == 0, "at first all are new"
    texts |= {"org/set-4": texts["org/set-4"] + "Now with bells.", "org/late": f"# Late\n\nA later set: {words}"}
    run(texts)
    tab = opened(tmp_path / "site")
    tab.get_by_role("button", name="Colour", exact=True).click()
    tab.select_option("#colormap", label="New or changed since the last run")
    entries = tab.locator(".legend button")
    assert [text.split("\n") for text in entries.all_inner_texts()] == [
        ["New", "1"],
        ["Changed", "1"],
        ["As before", "9"],
    ]
    colours = tab.evaluate(
        """() => {
          const { value } = hfmap.map.plot.pointLayer.props.data.attributes.getFillColor;
          return Object.fromEntries(hfmap.data.id.map((id, i) => [id, value.slice(4 * i, 4 * i + 3).join()]));
        }"""
    )
    assert len(set(colours.values())) == 3
    assert colours["org/set-4"] not in {colours["org/late"], colours["org/set-1"]}
    for entry, id_ in ((0, "org/late"), (1, "org/set-4")):
        entries.nth(entry).click()
        assert tab.evaluate("() => hfmap.lasso.rows().map(i => hfmap.data.id[i])") == [id_]
        entries.nth(entry).click()
    tab.reload()
    tab.wait_for_selector("html[data-ready]", state="attached")
    assert tab.evaluate("() => hfmap.colors.key()") == "novelty"


def test_another_taxonomy_has_its_filters_and_colours(tmp_path: Path, opened: Open) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "hfmap.sqlite", isolation_level=None)) as conn:
        run = fill_own(conn, 120)
        page.ensure(conn, run_id=run, out=tmp_path / "site", emit=lambda event: None)
        (calm,) = conn.execute("SELECT count(*) FROM datasets WHERE mood = 'very-calm'").fetchone()
    tab = opened(tmp_path / "site")
    settle(tab)
    tab.get_by_role("button", name="Filter", exact=True).click()
    headings = tab.locator(".facet summary").all_inner_texts()
    assert headings[5:] == ["What about", "Mood", "Extent", "Uses", "Noisy"]
    assert not {"Provenance", "Stage", "Format", "Role"} & set(headings)
    options = tab.locator("#colormap option").all_text_contents()
    assert {"What about", "Mood", "Extent", "Uses", "Noisy"} <= set(options)
    assert "Provenance" not in options
    tab.evaluate("() => hfmap.filters.allow('own_mood', [hfmap.fields.words('own_mood').indexOf('Very calm')])")
    assert tab.inner_text("#count") == f"{calm} of 120 datasets"
    tab.wait_for_function("() => location.hash.includes('f.own_mood=Very+calm')")
    tab.locator("#reset").click()
    tab.fill("#search", "very calm")
    tab.wait_for_function("n => document.querySelector('#count').textContent.startsWith(n)", arg=f"{calm} of")
    tab.fill("#search", "")
    tab.wait_for_function("() => !hfmap.store.has('search')")
    tab.get_by_role("button", name="Colour", exact=True).click()
    for name in ("own_mood", "own_uses", "own_noisy", "subject"):
        tab.select_option("#colormap", name)
        legend = tab.locator(".legend .facet-count").all_inner_texts()
        assert sum(map(int, legend)) == 120, name
    tab.evaluate("() => hfmap.emit('hover', {index: 0, x: 400, y: 300})")
    card = tab.inner_text("#card")
    for word in ("Mood", "Extent", "Uses", "Noisy"):
        assert word.lower() in card.lower()
    tab.evaluate("() => hfmap.drawer.open(0)")
    tab.wait_for_selector("#drawer .claims")
    assert tab.locator("#drawer .claims dt").all_inner_texts() == [
        "What about", "Mood", "Extent", "Uses", "Places", "Noisy",
    ]  # fmt: skip
    record = tab.evaluate("() => JSON.parse(hfmap.exporter.json([0]))[0]")
    assert record["mood"] in ("Very calm", "Angry")
    assert isinstance(record["uses"], list)
    assert record["size"] != record["own_size"]
