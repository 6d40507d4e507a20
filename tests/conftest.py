"""What all tests share: a quiet environment, hfmap as a process, doubles of the services, and a look at the store."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from engine.config.secrets import HUB_ADDRESS, HUB_KEY
from engine.providers import PROVIDERS

if TYPE_CHECKING:
    from engine.run import RunResult
    from tests.services import Services
    from tests.zygote import Zygote

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared" / "corpus"

_FROM_OUTSIDE = {HUB_KEY, HUB_ADDRESS} | {
    name for row in PROVIDERS.values() for name in (row.key, row.address_variable)
}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


PATIENCE = 120.0
"""Seconds after which something that a test waits for has not happened. No test says how fast anything is: what it waits
for comes at once on a quiet machine, and in its own time on a busy one."""


def wait_for(state: Callable[[], bool]) -> None:
    """Wait for a state that no service can tell of."""
    deadline = time.monotonic() + PATIENCE
    while not state():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.001)


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without keys, settings and addresses of the person who runs the tests."""
    kept = {k: v for k, v in os.environ.items() if k not in _FROM_OUTSIDE and not k.startswith("HFMAP_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PYTHONWARNINGS": "default", **extra}


def sync_here(services: Services, folder: Path, **settings: Any) -> RunResult:
    """Sync with the doubles in this process, without a map: where a test needs a run, and not a process."""
    from engine.calls.clock import turned
    from engine.config import Settings
    from engine.providers import load_secrets
    from engine.run import sync
    from tests.zygote import SPEED

    with turned(SPEED):
        return sync(Settings(db=folder / "hfmap.sqlite", no_map=True, **settings), load_secrets(services.env))


def hfmap_command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from engine.cli import main; main()", *map(str, arguments)]


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start also where a shell runs them in the background, and has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


LONG = (
    "render/test_layout_neighbors.py", "cli/test_map.py", "test_crash.py", "browser/test_widgets.py", "browser/test_pages.py",
    "render/test_topics.py", "test_faults.py", "test_batch.py", "browser/test_access.py", "browser/test_tour.py",
    "render/test_clusters.py", "browser/test_filters.py", "browser/test_map.py", "test_estimate.py", "render/test_page.py",
    "test_sync.py", "render/test_layout.py", "test_budget.py", "taxonomy/test_cardtext.py", "providers/test_openai.py",
)  # fmt: skip
"""The files that take longest, longest first: no worker is to be left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first; a file goes to one worker as a whole."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    """Seconds for one request: few where the `fault` of the test never ends, else more than a busy machine takes."""
    fault = request.node.callspec.params.get("fault") if hasattr(request.node, "callspec") else None
    return 1.0 if fault in ("hang", "hang_silent", "endless", "drip") else PATIENCE


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session, the same for all workers; `once` makes something in it for all of them."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Let the first that comes fill a folder, while the others wait; return the folder."""
    done = folder.with_suffix(".done")
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def zygote(shared: Path) -> Iterator[Zygote]:
    """Starts hfmap at once, as often as the tests want: see `tests.zygote`."""
    from tests.zygote import Zygote

    with Zygote(shared) as process:
        yield process


@pytest.fixture(scope="session")
def drawing_zygote(shared: Path) -> Iterator[Zygote]:
    """As `zygote`, for runs that draw a map: what the passes import and compile is there already."""
    from tests.zygote import Zygote

    with Zygote(shared, draws=True) as process:
        yield process


@pytest.fixture
def run_hfmap(zygote: Zygote, tmp_path: Path) -> Run:
    """Run hfmap in a process of its own, in an empty folder. `env` adds to the environment."""
    return zygote.runner(tmp_path)


@pytest.fixture
def draw_hfmap(drawing_zygote: Zygote, tmp_path: Path) -> Run:
    """As `run_hfmap`, for runs that draw a map."""
    return drawing_zygote.runner(tmp_path)


@pytest.fixture(scope="session")
def sample_map(drawing_zygote: Zygote, shared: Path) -> Path:
    """The map of the sample as a first run without keys leaves it, and pictures of it; copy what is to be changed."""

    def draw(folder: Path) -> None:
        run = drawing_zygote.runner(folder)
        run("sync", "--source", "sample", "--quiet")
        run("map", "--quiet", "--png", "map.png")

    return once(shared / "sample", draw)


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Ask the database of the test's folder."""

    def ask(sql: str, *values: object, db: Path | None = None) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(db or tmp_path / "hfmap.sqlite")) as conn:
            return conn.execute(sql, values).fetchall()

    return ask


@pytest.fixture(scope="session")
def corpus_cards() -> Path:
    """The 427 real cards beside the checkout; skips where they are not."""
    path = CORPUS / "cards.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no real cards at {path}")
    return path
