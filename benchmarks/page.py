"""How large the page is and how soon it can be used, in Chromium that reaches nothing but this machine.

    uv run python benchmarks/page.py --sizes 770,5000,20000

draws pages of made-up datasets, opens each from the disk in a browser of its own and prints one line a size:
bytes of index.html, also compressed, seconds until the first points are on the screen and until everything
answers, each the middle one of `--runs`. The limits for 5,000 datasets on two cores without a graphics
card: 5 MB, 3 s, 6 s.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from render.page import page  # noqa: E402
from tests.browser.conftest import CHROMIUM, FLAGS  # noqa: E402
from tests.render.fill import connect, fill  # noqa: E402

SIZES = (770, 5_000, 20_000, 100_000)

# Runs before the page's own scripts. A frame after a thing is there it is drawn, and another one later shown.
WATCH = """
window.seen = {};
const since = {};
const look = () => {
  const there = {
    first: Boolean(window.hfmap?.map?.plot?.pointLayer),
    ready: document.documentElement?.hasAttribute('data-ready'),
  };
  for (const name of ['first', 'ready']) {
    if (there[name]) since[name] = (since[name] ?? 0) + 1;
    if (since[name] === 3) window.seen[name] = performance.now();
  }
  if (!window.seen.ready || !window.seen.first) requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of datasets, with commas")
    parser.add_argument("--runs", type=int, default=3, help="how often each page is opened")
    arguments = parser.parse_args()
    if CHROMIUM is None:
        print("There is no Chromium on this machine.", file=sys.stderr)
        return 1
    head = ("datasets", "drawn in s", "index.html MB", "gzipped MB", "folder MB", "first point s", "ready s")
    print("  ".join(head))
    for n in map(int, arguments.sizes.split(",")):
        with tempfile.TemporaryDirectory() as scratch:
            site, drawn = draw(n, Path(scratch))
            times = [look(site) for _ in range(arguments.runs)]
            content = (site / "index.html").read_bytes()
            folder = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
        values = (
            f"{n:,}",
            f"{drawn:.1f}",
            f"{len(content) / 1e6:.2f}",
            f"{len(gzip.compress(content, 6)) / 1e6:.2f}",
            f"{folder / 1e6:.1f}",
            f"{statistics.median(first for first, _ in times):.2f}",
            f"{statistics.median(ready for _, ready in times):.2f}",
        )
        print("  ".join(value.rjust(len(name)) for value, name in zip(values, head, strict=True)), flush=True)
    return 0


def draw(n: int, folder: Path) -> tuple[Path, float]:
    """A page of `n` made-up datasets, and the seconds that drawing it took."""
    with contextlib.closing(connect(folder / "hfmap.sqlite")) as conn:
        run = fill(conn, n, seed=7)
        started = time.monotonic()
        page.ensure(conn, run_id=run, out=folder / "site", emit=lambda _: None)
        return folder / "site", time.monotonic() - started


def look(site: Path) -> tuple[float, float]:
    """Seconds from opening the page to its first points, and until everything on it is ready."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab: Any = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.add_init_script(WATCH)
        tab.goto(f"file://{site}/index.html", wait_until="commit")
        tab.wait_for_function("() => window.seen.first && window.seen.ready", timeout=120_000)
        seen = tab.evaluate("() => window.seen")
        browser.close()
    return seen["first"] / 1000, seen["ready"] / 1000


if __name__ == "__main__":
    sys.exit(main())
