"""Every widget of the page in one visit: of the sample with a finger, and of 5,000 datasets with a mouse."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import at, lonely, point_at, settle

Open = Callable[..., Any]

DEVICES: dict[str, dict[str, Any]] = {
    "mouse": {"viewport": {"width": 1280, "height": 800}},
    "finger": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
FIELDS = ["role", "task", "stage", "modality", "language", "provenance", "format"]
COLORMAPS = {
    "topics", "topics.0", "task", "modality", "licence", "size", "language", "likes", "downloads", "subject",
    "provenance", "stage", "format", "role", "modified",
}  # fmt: skip
FACETS = [
    "Task", "Modality", "Licence", "Size", "Language", "Subject", "Provenance", "Stage", "Format", "Role",
]  # fmt: skip


class Visit:
    """A page in a tab, and the hand that uses it."""

    def __init__(self, tab: Any, folder: Path, device: str) -> None:
        self.tab, self.finger = tab, device == "finger"
        with contextlib.closing(sqlite3.connect(folder.parent / "hfmap.sqlite")) as conn:
            (self.total,) = conn.execute("SELECT count(*) FROM datasets WHERE on_map = 1").fetchone()
            self.tasks = dict(conn.execute("SELECT task_category, count(*) FROM datasets WHERE on_map = 1 GROUP BY 1"))

    def press(self, target: Any) -> None:
        target.tap() if self.finger else target.click()

    def button(self, name: str) -> None:
        self.press(self.tab.get_by_role("button", name=name, exact=True))

    def panel(self, name: str) -> None:
        if self.tab.locator(".rail").get_by_role("button", name=name).get_attribute("aria-expanded") != "true":
            self.button(name)
        assert self.tab.locator("#panel").is_visible()

    def shown(self) -> int:
        """What the live count says, which is what the map shows."""
        said = self.tab.inner_text("#count").split()[0]
        count = self.tab.evaluate("() => hfmap.store.shown().reduce((a, b) => a + b)")
        assert said == f"{count:,}"
        assert isinstance(count, int)
        return count

    def counts(self, selector: str) -> list[int]:
        return [int(text.replace(",", "")) for text in self.tab.locator(selector).all_inner_texts()]


# Each page and each hand once: what a widget does depends on both, but on neither by way of the other.
@pytest.mark.parametrize(("which", "device"), [("sample", "finger"), ("large", "mouse")])
def test_every_widget(which: str, device: str, request: pytest.FixtureRequest, opened: Open) -> None:
    folder = request.getfixturevalue(which)
    tab = opened(folder, **DEVICES[device])
    settle(tab)
    visit = Visit(tab, folder, device)
    the_head_and_the_map(visit)
    the_card_and_the_drawer(visit)
    colours_filters_ranges_and_search_meet(visit)
    topics_and_the_list(visit)
    a_box_is_taken_along(visit)
    the_switch_to_dark(visit)


def the_head_and_the_map(visit: Visit) -> None:
    tab = visit.tab
    assert tab.locator("h1").is_visible()
    assert f"Top {visit.total:,} datasets" in tab.text_content("header p")
    assert tab.locator("header p").is_visible() is not visit.finger
    assert "20" in tab.text_content(".badge")
    assert tab.get_by_role("link", name="Methodology").get_attribute("href") == "methodology.html"
    assert tab.inner_text("#count") == f"{visit.total:,} datasets"
    assert tab.evaluate("() => document.documentElement.scrollWidth") == (390 if visit.finger else 1280)
    least, most, cap = tab.evaluate(
        """() => {
          const { data, radiusMaxPixels } = hfmap.map.plot.pointLayer.props;
          const { value } = data.attributes.getRadius;
          return [value.reduce((a, b) => Math.min(a, b)), value.reduce((a, b) => Math.max(a, b)), radiusMaxPixels];
        }"""
    )
    assert least >= 2.99
    assert most <= 18.01
    assert cap <= 12, "no discs that hide each other"
    assert tab.evaluate("() => hfmap.labels.shown().length") > 1


def the_card_and_the_drawer(visit: Visit) -> None:
    tab = visit.tab
    index = lonely(tab, 20 if visit.finger else 420)
    card, drawer = tab.locator("#card"), tab.locator("#drawer")
    if visit.finger:
        tab.touchscreen.tap(*at(tab, index))
        card.wait_for()
        assert drawer.is_hidden(), "the first tap shows the card"
    else:
        point_at(tab, index)
        assert card.bounding_box()["width"] == 360
    text = card.inner_text()
    assert tab.evaluate("i => hfmap.data.summary[i]", index) in text
    assert tab.evaluate("i => hfmap.data.id[i].split('/').pop()", index) == card.locator(".card-name").inner_text()
    assert [name.lower() for name in card.locator("dt").all_inner_texts()] == FIELDS
    assert card.locator(".meter").count() == 3
    assert card.locator(".pill").count() == 1
    tab.touchscreen.tap(*at(tab, index)) if visit.finger else tab.mouse.click(*at(tab, index))
    drawer.locator(".claims").wait_for()
    assert tab.evaluate("() => hfmap.drawer.current()") == index
    assert card.is_hidden()
    for title in ("What its card says", "Nearest in meaning", "The card begins", "From its metadata"):
        assert drawer.locator("h3", has_text=title).count() == 1, title
    link = drawer.get_by_role("link", name="Open on the Hub")
    assert link.get_attribute("target") == "_blank"
    near = drawer.locator(".near button")
    assert near.count() == 10
    name = near.nth(2).locator(".result-id").inner_text()
    visit.press(near.nth(2))
    tab.wait_for_function("name => hfmap.data.id[hfmap.drawer.current()] === name", arg=name)
    settle(tab)
    here = at(tab, tab.evaluate("() => hfmap.drawer.current()"))
    box = tab.locator("#deck-container").bounding_box()
    assert here == pytest.approx((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), abs=3)
    visit.press(drawer.get_by_role("button", name="Close"))
    assert drawer.is_hidden()


def colours_filters_ranges_and_search_meet(visit: Visit) -> None:
    tab, total = visit.tab, visit.total
    visit.panel("Colour")
    options = tab.locator("#colormap option").evaluate_all("all => all.map(option => option.value)")
    assert set(options) >= COLORMAPS
    for option in options:
        tab.select_option("#colormap", option)
        entries = visit.counts(".legend .facet-count")
        assert sum(entries) == total if entries else tab.locator(".legend .ramp, .legend .hint").count() == 1
        assert len(entries) <= 10 or option.startswith(("topics", "size")), "nine and the others"
    tab.select_option("#colormap", "modality")
    visit.press(tab.locator(".legend button").first)
    of_modality = visit.shown()
    assert of_modality == visit.counts(".legend .facet-count")[0]

    visit.panel("Filter")
    assert tab.locator(".facet summary > span:first-child").all_inner_texts()[:10] == FACETS
    drawn = "bars => bars.filter(bar => parseFloat(bar.style.height) > 0).length"
    assert tab.locator(".range-plot b").evaluate_all(drawn) > 4, "the histograms are there from the start"
    task = tab.locator(".facet", has=tab.get_by_text("Task", exact=True))
    visit.press(task.locator("summary"))
    tab.wait_for_function("() => document.querySelector('.facet[open] .facet-count')?.textContent")
    bars = visit.counts(".facet[open] .facet-count")
    assert sum(bars) == of_modality, "the bars follow the legend"
    visit.press(task.get_by_role("button", name="None of Task"))
    assert visit.shown() == 0
    assert tab.locator("#note").is_visible()
    assert tab.evaluate("() => hfmap.labels.shown().length") == 0
    visit.press(task.locator("label").first)
    assert visit.shown() == bars[0]
    word = task.locator(".facet-word").first.inner_text()
    visit.panel("Colour")
    visit.press(tab.locator(".legend button").first)
    assert visit.shown() == visit.tasks[word]
    visit.panel("Filter")
    slider = tab.get_by_label("Likes, lowest")
    slider.focus()
    for _ in range(8):
        tab.keyboard.press("ArrowRight")
    liked = visit.shown()
    assert 0 < liked < visit.tasks[word]
    tab.fill("#search", "e a")
    tab.wait_for_function("() => hfmap.store.has('search')")
    assert visit.shown() <= liked
    tab.wait_for_function(
        "() => ['f.task', 'r.likes', 'q', 'color'].every(key => hfmap.link.address().includes(key + '='))"
    )
    tab.wait_for_function("() => location.hash.slice(1) === hfmap.link.address()")
    kept = visit.shown()
    tab.reload()
    tab.wait_for_selector("html[data-ready]", state="attached")
    assert visit.shown() == kept, "the address brings the view back"
    visit.button("Reset")
    assert visit.shown() == total


def topics_and_the_list(visit: Visit) -> None:
    tab = visit.tab
    visit.panel("Topics")
    settle(tab)
    tab.evaluate("() => hfmap.map.fit(0)")
    start = tab.evaluate("() => hfmap.map.view().zoom")
    visit.press(tab.locator("button.twist").first)
    visit.press(tab.locator(".tree .tree button.topic").first)
    settle(tab)
    assert tab.evaluate("() => hfmap.map.view().zoom") > start
    visit.panel("List")
    rows = tab.locator(".results button")
    assert rows.count() == 50
    best = tab.evaluate("() => hfmap.data.likes.indexOf(hfmap.data.likes.reduce((a, b) => Math.max(a, b)))")
    assert rows.first.get_attribute("data-index") == str(best)
    visit.press(rows.first)
    tab.wait_for_function("i => hfmap.drawer.current() === i", arg=best)
    tab.keyboard.press("Escape")
    assert tab.locator("#drawer").is_hidden()
    visit.press(tab.locator("#panel-close"))
    visit.button("Fit")
    settle(tab)


def a_box_is_taken_along(visit: Visit) -> None:
    tab = visit.tab
    visit.button("Select")
    visit.button("Box")
    settle(tab)
    box = tab.locator(".sheet").bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.2)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6, steps=4)
    tab.mouse.up()
    count = visit.shown()
    assert 0 < count < visit.total
    with tab.expect_download() as got:
        visit.button("Download as CSV")
    table = list(csv.DictReader(io.StringIO(Path(got.value.path()).read_text(encoding="utf-8-sig"))))
    with tab.expect_download() as got:
        visit.button("Download as JSON")
    records = json.loads(Path(got.value.path()).read_text(encoding="utf-8"))
    assert len(table) == len(records) == count
    assert tab.locator("#selection").get_by_role("button", name="Copy ids").is_visible()
    visit.button("Clear the selection")
    assert visit.shown() == visit.total


def the_switch_to_dark(visit: Visit) -> None:
    background = "() => getComputedStyle(document.body).backgroundColor"
    assert visit.tab.evaluate(background) == "rgb(255, 255, 255)"
    visit.button("Dark mode")
    assert visit.tab.evaluate(background) == "rgb(14, 18, 24)"
