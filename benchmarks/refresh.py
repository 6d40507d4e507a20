"""What each kind of refresh costs: seconds, requests and calls.

    uv run python benchmarks/refresh.py [--sizes 1000,5000,20000]

For each size a database is made by a first `hfmap sync --no-map` against doubles of the Hub, Cohere and Anthropic in a
process of their own, without latency. Then one thing at the Hub changes at a time, in 1 % of the datasets, and sync runs
again. A process takes about two seconds to start; they are part of what is printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.services import DatasetState, ServicesProcess, generated_cards  # noqa: E402

SHARE = 100
"""One in so many datasets changes."""

Change = tuple[str, Any]
"""A change at the Hub, as the doubles' control takes it."""


@dataclass(frozen=True)
class Case:
    """A kind of refresh: its name, and the changes at the Hub for the datasets concerned."""

    name: str
    changes: Callable[[list[DatasetState]], list[Change]]


def _cards_changed(states: list[DatasetState]) -> list[Change]:
    return [
        ("update", {"id": one.id, "card": ((one.card or b"") + b"\nA new paragraph about the splits.\n").decode()})
        for one in states
    ]


def _new(states: list[DatasetState]) -> list[Change]:
    return [
        (
            "add",
            {"id": f"newcomers/dataset-{number}", "likes": one.likes, "card": (one.card or b"").decode() + "\nNew.\n"},
        )
        for number, one in enumerate(states)
    ]


CASES = (
    Case("nothing changed", lambda _: []),
    Case("likes changed", lambda states: [("update", {"id": one.id, "likes": one.likes + 1}) for one in states]),
    Case("touched only", lambda states: [("touch", [one.id]) for one in states]),
    Case("card changed", _cards_changed),
    Case("renamed", lambda states: [("rename", [one.id, f"moved/{one.id.partition('/')[2]}"]) for one in states]),
    Case("deleted", lambda states: [("remove", [one.id]) for one in states]),
    Case("new", _new),
)


def sync(env: dict[str, str], folder: Path, cards: int) -> float:
    """Run one sync in a process of its own; return its seconds."""
    limits = ["--target", str(cards), "--overshoot", str(cards + cards // 5)]
    command = [
        sys.executable,
        "-c",
        "from engine.cli import main; main()",
        "sync",
        "--no-map",
        "--quiet",
        "--yes",
        *limits,
    ]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, **env, "PYTHONPATH": str(ROOT)}, check=True)
    return time.perf_counter() - started


def row(name: str, concerned: int, seconds: float, stats: dict[str, Any]) -> str:
    """One line of the table."""
    asked: dict[str, int] = stats["requests"]
    columns = ("list", "redirect", "card", "info", "embed", "extract", "summarize")
    counts = "".join(f"{asked.get(kind, 0):>10,}" for kind in columns)
    return f"{name:<18}{concerned:>9,}{seconds:>9.1f}{sum(asked.values()):>10,}{counts}"


def head() -> str:
    """The table's first line."""
    columns = ("listing", "redirects", "cards", "info", "embed", "extract", "summarize")
    return f"{'refresh':<18}{'datasets':>9}{'seconds':>9}{'requests':>10}" + "".join(f"{name:>10}" for name in columns)


def run(cards: int) -> None:
    """Measure every case at one size, one after the other on the same database."""
    concerned = cards // SHARE
    states = generated_cards(cards)
    with tempfile.TemporaryDirectory() as name, ServicesProcess(cards=cards) as services:
        folder = Path(name)
        print(f"\n{cards:,} cards\n{head()}", flush=True)
        seconds = sync(services.env, folder, cards)
        print(row("first sync", cards, seconds, services.stats()), flush=True)
        for number, case in enumerate(CASES):
            # Other datasets for each case, spread over all ranks.
            some = states[number * 3 :: SHARE][:concerned]
            changes = case.changes(some)
            services.control(hub=changes, reset_log=True)
            seconds = sync(services.env, folder, cards)
            print(row(case.name, len(changes), seconds, services.stats()), flush=True)
        size = (folder / "hfmap.sqlite").stat().st_size / 1e6
        print(f"the database: {size:,.0f} MB")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,5000,20000", help="numbers of cards, comma-joined")
    arguments = parser.parse_args()
    for size in arguments.sizes.split(","):
        run(int(size))


if __name__ == "__main__":
    main()
