"""A real Chromium that reaches nothing but this machine, and pages drawn for it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from render import vendor
from render.page import page
from tests.conftest import once
from tests.render.fill import connect, fill

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = None
    if CHROMIUM is None:
        reason = "there is no Chromium on this machine"
    elif vendor.load() is None:
        reason = "the browser libraries were not fetched when hfmap was installed"
    if reason:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(shared: Path) -> Callable[..., Path]:
    """Draws a page for `n` datasets, once a session for the same arguments; the folder."""

    def draw(n: int, hostile: bool = False) -> Path:
        def make(folder: Path) -> None:
            with contextlib.closing(connect(folder / "hfmap.sqlite")) as conn:
                run = fill(conn, n, seed=7, hostile=hostile)
                page.ensure(conn, run_id=run, out=folder / "site", emit=lambda event: None)

        return once(shared / f"site-{n}{'-hostile' * hostile}", make) / "site"

    return draw


@pytest.fixture(scope="session")
def sample(sample_map: Path) -> Path:
    """The page of the sample, with pictures of it in the folder above."""
    return sample_map / "site"


@pytest.fixture(scope="session")
def large(site: Callable[..., Path]) -> Path:
    """The page of 5,000 datasets."""
    return site(5000)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[Path], str]]:
    """Serves a folder over HTTP; its address."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(folder: Path) -> str:
        handler = functools.partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


class Watch:
    """What a page did that it should not: complaints in the console, and requests to other hosts."""

    def __init__(self, tab: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        tab.on("console", self._said)
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", self._request)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")):
            self.requests.append(request.url)


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page and waits until everything on it is loaded; at the end nothing may have gone wrong."""
    contexts = []
    watches = []

    def open_page(folder: Path | str, suffix: str = "", *, forgive: bool = False, **options: Any) -> Any:
        options.setdefault("viewport", {"width": 1280, "height": 800})
        context = chromium.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        if not forgive:
            watches.append(Watch(tab))
        base = folder if isinstance(folder, str) else f"file://{folder}"
        tab.goto(f"{base}/index.html{suffix}")
        tab.wait_for_selector("html[data-ready]", state="attached", timeout=30_000)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    for watch in watches:
        assert watch.complaints == []
        assert watch.requests == []


def at(tab: Any, index: int) -> tuple[float, float]:
    """Where a dataset's point is on the screen, in pixels."""
    x, y = tab.evaluate("i => hfmap.map.locate(i)", index)
    return x, y


def lonely(tab: Any, margin: int = 420) -> int:
    """The dataset whose point is farthest from any other: the pointer cannot miss it.

    `margin`: pixels that it has to be from the sides of the window, so that there is room for its card.
    """
    index = tab.evaluate(
        """margin => {
          const { x, y, n } = hfmap.data;
          let best = 0, widest = -1;
          for (let i = 0; i < n; i++) {
            let gap = Infinity;
            for (let j = 0; j < n; j++) if (j !== i) gap = Math.min(gap, (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2);
            const [left, top] = hfmap.map.locate(i);
            const inside = left > margin && left < innerWidth - margin && top > 150 && top < innerHeight - 150;
            if (inside && gap > widest) [best, widest] = [i, gap];
          }
          return best;
        }""",
        margin,
    )
    assert isinstance(index, int)
    return index


def point_at(tab: Any, index: int) -> None:
    """Move the pointer onto a dataset's point, until its card shows: the first frames may still be under way."""
    x, y = at(tab, index)
    for attempt in range(20):
        tab.mouse.move(x + attempt % 2, y)
        tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if tab.locator("#card").is_visible():
            return
    raise AssertionError("the point does not answer to the pointer")


def settle(tab: Any) -> None:
    """Wait until the view no longer moves and a frame of it has been drawn."""
    tab.wait_for_function("() => !hfmap.map.moving()")
    tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
