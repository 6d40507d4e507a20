"""How close a sync comes to what its services allow.

    uv run python benchmarks/sync.py [--cards 2000] [--runs latency,instant]

Runs `hfmap sync --no-map` with Cohere and Anthropic keys set against doubles of the three services in a process
of their own on this machine: once with no latency (cards per second of the engine itself), once with latencies a fifth
of the real ones, beside the lower bound they set: the largest of cards / 8 · card latency, batches · embed latency, and
calls / 12 · mean latency of a call.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.services import ServicesProcess  # noqa: E402

SCALE = 0.2
"""Latencies as a share of the real ones."""

CARD, EMBED, EXTRACT, SUMMARIZE = 0.12, 0.4, 1.2, 0.7
"""Seconds that one request takes at scale 1."""


@dataclass(frozen=True)
class Measured:
    """One sync: wall seconds in all and of enrichment alone, CPU seconds, peak memory in MiB."""

    wall: float
    enrich: float
    cpu: float
    peak_mib: float


def measure(env: dict[str, str], folder: Path, cards: int) -> Measured:
    """Run one sync in a process of its own."""
    command = [
        sys.executable, "-c", "from engine.cli import main; main()",
        "sync", "--no-map", "--quiet", "--yes", "--db", str(folder / "hfmap.sqlite"),
        "--target", str(cards), "--overshoot", str(cards),
    ]  # fmt: skip
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **env, "PYTHONPATH": str(ROOT)})
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status != 0:
        raise SystemExit(f"hfmap sync ended with exit code {os.waitstatus_to_exitcode(status)}")
    with sqlite3.connect(folder / "hfmap.sqlite") as conn:
        (seconds,) = conn.execute("SELECT seconds FROM run ORDER BY run_id DESC LIMIT 1").fetchone()
    return Measured(wall, json.loads(seconds)["enrich"], usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def lower_bound(cards: int, scale: float) -> float:
    """Return the seconds that the latencies alone take at the limits of 8 cards, 1 batch and 12 calls at once."""
    return scale * max(cards / 8 * CARD, math.ceil(cards / 96) * EMBED, 2 * cards / 12 * (EXTRACT + SUMMARIZE) / 2)


def run(cards: int, scale: float) -> None:
    """Measure one sync and the unchanged one after it, and print both."""
    with tempfile.TemporaryDirectory() as name, ServicesProcess(cards=cards, latency_scale=scale) as services:
        folder = Path(name)
        first = measure(services.env, folder, cards)
        stats = services.stats()
        services.control(reset_log=True)
        again = measure(services.env, folder, cards)
        after = services.stats()
    print(f"\n{cards:,} cards, latencies × {scale}")
    if scale:
        bound = lower_bound(cards, scale)
        print(f"  lower bound                {bound:8.1f} s")
        print(f"  enrichment                 {first.enrich:8.1f} s   {first.enrich / bound:.2f} × the bound")
        print(f"  the whole process          {first.wall:8.1f} s   {first.wall / bound:.2f} × the bound")
    else:
        print(f"  enrichment                 {first.enrich:8.1f} s   {cards / first.enrich:.0f} cards a second")
        print(f"  the whole process          {first.wall:8.1f} s   {cards / first.wall:.0f} cards a second")
    print(f"  CPU, peak memory           {first.cpu:8.1f} s   {first.peak_mib:.0f} MiB")
    print(f"  the doubles' CPU           {stats['cpu_seconds']:8.1f} s")
    print(f"  requests                   {json.dumps(stats['requests'])}")
    print(f"  most at once               {json.dumps(stats['peaks'])}, largest batch {stats['largest_batch']}")
    print(f"  unchanged, second sync     {again.wall:8.1f} s   requests {json.dumps(after['requests'])}")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=2000)
    parser.add_argument("--runs", default="instant,latency", help="instant, latency, or both, comma-joined")
    arguments = parser.parse_args()
    for name in arguments.runs.split(","):
        run(arguments.cards, {"instant": 0.0, "latency": SCALE}[name])


if __name__ == "__main__":
    main()
