from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import at, lonely, point_at, settle

Site = Callable[..., Path]
Open = Callable[..., Any]


def test_a_labelled_map_is_drawn(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    settle(tab)
    assert tab.inner_text("h1") == "Hugging Face Dataset Map"
    assert "Top 400 datasets positioned by what their cards say" in tab.inner_text("header")
    assert tab.inner_text(".badge") == "2 April 2026"
    assert tab.inner_text("#count") == "400 datasets"
    assert tab.evaluate("() => hfmap.map.plot.labelLayer.props.data.length") > 5
    before = tab.locator("#deck-container").screenshot()
    tab.evaluate("() => hfmap.map.swap('labelLayer', {visible: false})")
    settle(tab)
    without = tab.locator("#deck-container").screenshot()
    assert changed(before, without) > 2_000, "the labels are visible"
    tab.evaluate("() => hfmap.map.swap('pointLayer', {visible: false})")
    settle(tab)
    assert changed(without, tab.locator("#deck-container").screenshot()) > 2_000, "the points are visible"


def changed(one: bytes, other: bytes) -> int:
    """How many pixels differ between two pictures."""
    image = pytest.importorskip("PIL.Image")
    chops = pytest.importorskip("PIL.ImageChops")
    with image.open(io.BytesIO(one)) as a, image.open(io.BytesIO(other)) as b:
        difference = chops.difference(a.convert("L"), b.convert("L"))
        return sum(difference.histogram()[16:])


def test_it_works_from_a_server_too(site: Site, opened: Open, served: Callable[[Path], str]) -> None:
    tab = opened(served(site(400)))
    tab.get_by_role("link", name="Methodology").click()
    tab.wait_for_url("**/methodology.html")
    tab.get_by_role("link", name="Map").click()
    tab.wait_for_selector("html[data-ready]", state="attached")


@pytest.mark.parametrize("n", [1, 2])
def test_tiny_maps(site: Site, opened: Open, n: int) -> None:
    tab = opened(site(n))
    settle(tab)
    for index in range(n):
        x, y = at(tab, index)
        assert 0 < x < 1280
        assert 52 < y < 800


def test_hovering_shows_the_card(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    settle(tab)
    index = lonely(tab)
    point_at(tab, index)
    assert tab.evaluate("i => hfmap.data.summary[i]", index) in tab.inner_text("#card")
    tab.mouse.move(640, 20)
    tab.wait_for_selector("#card", state="hidden")


def test_search_narrows_the_map(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    wanted = tab.evaluate("() => hfmap.data.summary.filter(s => /radiology/i.test(s)).length")
    tab.keyboard.press("/")
    tab.keyboard.type("RADIOLOGY")
    tab.wait_for_function("n => document.querySelector('#count').textContent.startsWith(n + ' of ')", arg=str(wanted))
    assert tab.evaluate("() => hfmap.store.shown().reduce((a, b) => a + b)") == wanted
    tab.fill("#search", "no such dataset anywhere")
    tab.wait_for_selector("#note:not([hidden])")
    assert tab.evaluate("() => Math.max(...hfmap.map.plot.pointLayer.props.data.attributes.getFilterValue.value)") == -1
    tab.fill("#search", "")
    tab.wait_for_function("() => document.querySelector('#count').textContent === '400 datasets'")


def test_hostile_text_runs_nothing_and_shows_as_text(site: Site, opened: Open) -> None:
    tab = opened(site(150, hostile=True))
    settle(tab)
    seen = set()
    for index in range(0, 150, 3):
        tab.evaluate("i => hfmap.emit('hover', {index: i, x: 400, y: 300})", index)
        seen.add(tab.inner_text("#card"))
    assert any("<img src=x onerror=" in text for text in seen)
    assert any("</script><script>" in text for text in seen)
    for word in ("onerror", "javascript:", "${"):
        tab.fill("#search", word)
        tab.wait_for_function("() => / of /.test(document.querySelector('#count').textContent)")
    assert tab.evaluate("() => window.canary") is None
    assert tab.evaluate("() => document.querySelectorAll('#card img, #card script, #card svg').length") == 0
    urls = tab.evaluate("() => Array.from({length: hfmap.data.n}, (_, i) => hfmap.hubUrl(i))")
    assert all(url.startswith("https://huggingface.co/datasets/") and "<" not in url for url in urls)
