from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import at, lonely, point_at, settle

Site = Callable[..., Path]
Open = Callable[..., Any]


def test_a_click_opens_the_drawer_with_everything_known(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    settle(tab)
    index = lonely(tab)
    point_at(tab, index)
    tab.mouse.click(*at(tab, index))
    drawer = tab.locator("#drawer")
    tab.wait_for_selector("#drawer .claims")
    assert tab.evaluate("() => hfmap.drawer.current()") == index
    assert tab.evaluate("i => hfmap.data.summary[i]", index) in drawer.inner_text()
    assert "by Claude Haiku 4.5" in drawer.inner_text()
    assert drawer.locator("blockquote").count() > 3
    assert drawer.locator(".proof.verified").count() > 0
    assert drawer.locator(".excerpt").inner_text().strip()
    neighbours = drawer.locator(".near button")
    assert neighbours.count() == 10
    assert len(tab.evaluate("() => hfmap.map.marks.near")) == 10
    link = drawer.get_by_role("link", name="Open on the Hub")
    assert link.get_attribute("href") == tab.evaluate("i => hfmap.hubUrl(i)", index)
    assert link.get_attribute("rel") == "noopener noreferrer"

    name = neighbours.first.locator(".result-id").inner_text()
    neighbours.first.click()
    tab.wait_for_function("name => hfmap.data.id[hfmap.drawer.current()] === name", arg=name)
    settle(tab)
    x, y = at(tab, tab.evaluate("() => hfmap.drawer.current()"))
    box = tab.locator("#deck-container").bounding_box()
    assert abs(x - (box["x"] + box["width"] / 2)) < 3, "the neighbour is in the middle of the map"
    assert abs(y - (box["y"] + box["height"] / 2)) < 3
    tab.keyboard.press("Escape")
    assert drawer.is_hidden()


@pytest.mark.parametrize("how", ["Control", "middle"])
def test_with_ctrl_or_the_middle_button_a_click_opens_the_hub(site: Site, opened: Open, how: str) -> None:
    tab = opened(site(400))
    settle(tab)
    index = lonely(tab)
    tab.evaluate("() => { window.open = (...args) => { window.went = args; }; }")
    point_at(tab, index)
    if how == "middle":
        tab.mouse.click(*at(tab, index), button="middle")
    else:
        tab.keyboard.down("Control")
        tab.mouse.click(*at(tab, index))
        tab.keyboard.up("Control")
    tab.wait_for_function("() => window.went")
    assert tab.evaluate("() => window.went")[:2] == [tab.evaluate("i => hfmap.hubUrl(i)", index), "_blank"]
    assert tab.locator("#drawer").is_hidden()


def test_the_drawer_says_so_where_its_chunk_is_missing(site: Site, opened: Open, tmp_path: Path) -> None:
    copy = tmp_path / "index-only"
    copy.mkdir()
    (copy / "index.html").write_bytes((site(400) / "index.html").read_bytes())
    tab = opened(copy, forgive=True)
    tab.evaluate("() => hfmap.drawer.open(0)")
    tab.wait_for_function("() => document.querySelector('#drawer').innerText.includes('not beside this page')")


def test_colormaps_recolour_the_points_and_have_a_legend(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    tab.get_by_role("button", name="Colour", exact=True).click()
    colors = "() => [...hfmap.map.plot.pointLayer.props.data.attributes.getFillColor.value]"
    seen = {tuple(tab.evaluate(colors))}
    options = tab.locator("#colormap option").evaluate_all("all => all.map(option => option.value)")
    wanted = ["topics", "topics.0", "task", "modality", "licence", "size", "language", "likes", "downloads", "modified"]
    wanted += ["subject", "provenance", "stage", "format", "role"]
    assert set(wanted) <= set(options)
    for option in options[1:]:
        tab.select_option("#colormap", option)
        seen.add(tuple(tab.evaluate(colors)))
        legend = tab.locator(".legend")
        entries = legend.locator("li").count()
        assert entries > 0 or legend.locator(".ramp").count() == 1
        if entries:
            assert sum(int(n.replace(",", "")) for n in legend.locator(".facet-count").all_inner_texts()) == 400
    assert len(seen) >= len(options) - 1, "modified is of the same day for all"

    tab.select_option("#colormap", "modality")
    entry = tab.locator(".legend button").first
    count = entry.locator(".facet-count").inner_text()
    entry.click()
    assert tab.locator("#count").inner_text() == f"{count} of 400 datasets"
    assert tab.locator(".legend button").first.get_attribute("aria-pressed") == "true"
    tab.locator(".legend button").first.click()
    assert tab.locator("#count").inner_text() == "400 datasets"


def test_topics_can_be_browsed_and_flown_to(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    tab.get_by_role("button", name="Topics", exact=True).click()
    settle(tab)
    start = tab.evaluate("() => hfmap.map.view().zoom")
    twist = tab.locator("button.twist").first
    twist.click()
    assert twist.get_attribute("aria-expanded") == "true"
    child = tab.locator(".tree .tree button.topic").first
    name = child.locator("span").first.inner_text()
    child.click()
    settle(tab)
    assert tab.evaluate("() => hfmap.map.view().zoom") > start
    labels = tab.evaluate("() => hfmap.labels.shown().map(l => l.label.replace(/\\n/g, ' '))")
    assert name in labels or len(labels) > 0
    tab.get_by_role("button", name="Fit").click()
    settle(tab)
    assert tab.evaluate("() => hfmap.map.view().zoom") == start


def test_labels_never_lie_on_one_another(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    for zoom in (0, 1, 2, 3):
        tab.evaluate(
            """z => {
              const [, , , , longitude, latitude] = hfmap.config.topics[0];
              hfmap.map.flyTo({ longitude, latitude, zoom: hfmap.map.home() + z }, 0);
            }""",
            zoom,
        )
        settle(tab)
        boxes = tab.evaluate(
            """() => hfmap.labels.shown().map(l => {
              const [x, y] = hfmap.map.port().project([l.x, l.y]).map((v, k) => v + l.offset[k]);
              return [x - l.width / 2, y - l.height / 2, x + l.width / 2, y + l.height / 2];
            })"""
        )
        assert boxes
        for i, a in enumerate(boxes):
            assert a[0] >= 0
            for b in boxes[i + 1 :]:
                assert a[0] >= b[2] or a[2] <= b[0] or a[1] >= b[3] or a[3] <= b[1]


def test_the_list_can_be_walked_by_keyboard(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    tab.keyboard.press("/")
    tab.keyboard.type("radiology")
    tab.wait_for_function("() => / of /.test(document.querySelector('#count').textContent)")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    best = tab.evaluate("() => hfmap.results.rows()[1]")
    assert tab.evaluate("() => Number(document.activeElement.dataset.index)") == best
    assert tab.evaluate("() => hfmap.map.marks.pointed") == [best]
    tab.keyboard.press("Enter")
    tab.wait_for_function("i => hfmap.drawer.current() === i", arg=best)
    assert tab.evaluate("() => document.activeElement.id") == "drawer"
    tab.keyboard.press("Escape")
    assert tab.evaluate("() => Number(document.activeElement.dataset.index)") == best
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowUp")
    assert tab.evaluate("() => document.activeElement.id") == "search"


def test_a_lasso_selects_and_the_selection_can_be_taken_along(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    settle(tab)
    index = lonely(tab)
    x, y = at(tab, index)
    tab.get_by_role("button", name="Select", exact=True).click()
    tab.mouse.move(x - 60, y - 60)
    tab.mouse.down()
    for corner in ((x + 60, y - 60), (x + 60, y + 60), (x - 60, y + 60), (x - 60, y - 50)):
        tab.mouse.move(*corner, steps=5)
    tab.mouse.up()
    rows = tab.evaluate("() => hfmap.lasso.rows()")
    assert index in rows
    assert len(rows) < 400
    assert tab.locator("#selection strong").inner_text() == f"{len(rows)} dataset{'s' * (len(rows) > 1)} selected"
    with tab.expect_download() as got:
        tab.get_by_role("button", name="Download as CSV").click()
    table = list(csv.DictReader(io.StringIO(Path(got.value.path()).read_text(encoding="utf-8-sig"))))
    with tab.expect_download() as got:
        tab.get_by_role("button", name="Download as JSON").click()
    records = json.loads(Path(got.value.path()).read_text(encoding="utf-8"))
    ids = tab.evaluate("rows => rows.map(i => hfmap.data.id[i])", rows)
    assert [row["id"] for row in table] == [record["id"] for record in records] == ids
    assert table[0]["summary"] == records[0]["summary"]
    assert isinstance(records[0]["stage"], list)
    assert tab.evaluate("() => hfmap.exporter.ids(hfmap.lasso.rows())").split("\n") == ids
    tab.get_by_role("button", name="Clear the selection").click()
    assert tab.locator("#count").inner_text() == "400 datasets"


def test_dark_mode_follows_the_system_and_a_switch(site: Site, opened: Open) -> None:
    tab = opened(site(400), color_scheme="dark")
    background = "() => getComputedStyle(document.body).backgroundColor"
    assert tab.evaluate(background) == "rgb(14, 18, 24)"
    button = tab.get_by_role("button", name="Dark mode")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert tab.evaluate(background) == "rgb(255, 255, 255)"
    tab.reload()
    tab.wait_for_selector("html[data-ready]", state="attached")
    assert tab.evaluate(background) == "rgb(255, 255, 255)", "the choice is kept"


def test_with_a_finger_on_a_small_screen(site: Site, opened: Open) -> None:
    tab = opened(site(400), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    settle(tab)
    assert tab.evaluate("() => document.documentElement.scrollWidth") == 390
    for name in ("Colour", "Filter", "Topics", "List"):
        tab.get_by_role("button", name=name, exact=True).tap()
        assert tab.locator("#panel").is_visible()
        box = tab.locator("#panel").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    assert not tab.evaluate("() => hfmap.map.moved()"), "whoever opens a panel has not left the whole map"
    tab.locator("#panel-close").tap()
    tab.wait_for_function("() => hfmap.map.height() > 600")
    settle(tab)
    index = lonely(tab, 20)
    x, y = at(tab, index)
    tab.touchscreen.tap(x, y)
    tab.wait_for_selector("#card:not([hidden])")
    assert tab.locator("#drawer").is_hidden()
    tab.touchscreen.tap(x, y)
    tab.wait_for_selector("#drawer:not([hidden])")
    assert tab.evaluate("() => hfmap.drawer.current()") == index


def test_sheets_on_a_small_screen(site: Site, opened: Open) -> None:
    tab = opened(site(400), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    settle(tab)
    tab.get_by_role("button", name="List", exact=True).tap()
    panel, drawer = tab.locator("#panel"), tab.locator("#drawer")

    def top(sheet: Any) -> float:
        return float(sheet.bounding_box()["y"])

    low = top(panel)
    assert low > 844 * 0.45, "half of the map is left"
    grip = panel.get_by_role("button", name="Full height")
    grip.tap()
    assert top(panel) < 100
    assert grip.get_attribute("aria-expanded") == "true"
    grip.tap()
    assert top(panel) == low
    panel.locator(".results button").first.tap()
    tab.wait_for_selector("#drawer .claims")
    drawer.get_by_role("button", name="Full height").tap()
    assert top(drawer) < 100
    drawer.get_by_role("button", name="Show on the map").tap()
    tab.wait_for_function("() => !document.documentElement.matches('.tall')")
    assert top(drawer) == low, "what it flies to is not covered"
    tab.get_by_role("button", name="Filter", exact=True).tap()
    assert drawer.is_hidden(), "a panel is never opened behind the drawer"
    box = grip.bounding_box()
    tab.mouse.move(box["x"] + 100, box["y"] + 5)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 100, box["y"] + 125, steps=3)
    tab.mouse.up()
    assert panel.is_hidden(), "drawn down, it closes"


def test_hostile_text_is_text_in_every_widget(site: Site, opened: Open) -> None:
    tab = opened(site(150, hostile=True))
    for name in ("Colour", "Filter", "Topics", "List"):
        tab.get_by_role("button", name=name, exact=True).click()
    tab.evaluate("() => document.querySelectorAll('details').forEach(facet => (facet.open = true))")
    for option in tab.locator("#colormap option").evaluate_all("all => all.map(option => option.value)"):
        tab.evaluate("name => hfmap.colors.choose(name)", option)
    text = ""
    for index in range(0, 150, 11):
        tab.evaluate("i => hfmap.drawer.open(i)", index)
        tab.wait_for_function("() => !document.querySelector('#drawer').innerText.includes('Loading')")
        text += tab.inner_text("#drawer")
    assert "<img src=x onerror=" in text
    assert "</script><script>window.canary='close'</script>" in text
    assert tab.evaluate("() => window.canary") is None
    assert (
        tab.evaluate("() => document.querySelectorAll('body img:not(#loading-image), body iframe, body object').length")
        == 0
    )
    assert "evil" in tab.evaluate("() => hfmap.exporter.csv(hfmap.lasso.rows())")
    tab.evaluate("() => { hfmap.filters.allow('licence', [1, 2]); hfmap.emit('changed'); }")
    tab.wait_for_function("() => location.hash.includes('f.licence')")
    shown = tab.evaluate("() => hfmap.lasso.rows()")
    again = opened(site(150, hostile=True), suffix=tab.evaluate("() => location.hash"))
    assert again.evaluate("() => hfmap.lasso.rows()") == shown
