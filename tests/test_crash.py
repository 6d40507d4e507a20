"""`kill -9`, a full disk, a read-only file, a second sync: the database stays sound, and the next run finishes the rest."""

from __future__ import annotations

import os
import random
import resource
import shlex
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, clean_environment, hfmap_command, wait_for
from tests.services import DatasetState, Services, generated_cards
from tests.zygote import Forked, Zygote

CARDS = 300
KILLS = 25
MODEL_CALLS = 12
Content = tuple[list[tuple[Any, ...]], ...]


def sync(zygote: Zygote, services: Services, folder: Path, cards: int) -> Forked:
    folder.mkdir(exist_ok=True)
    size = str(cards)
    return zygote.start(
        folder, clean_environment(**services.env), "sync", "--no-map", "--target", size, "--overshoot", size
    )


def finish(zygote: Zygote, services: Services, folder: Path, cards: int) -> Path:
    """Run to the end; return the database."""
    assert sync(zygote, services, folder, cards).wait() == 0, (folder / "hfmap.log").read_text()[-3000:]
    return folder / "hfmap.sqlite"


def content(db: Path) -> Content:
    """All that a run is for, by repository; without times and the numbers of runs."""
    with closing(sqlite3.connect(db)) as conn:
        return tuple(
            conn.execute(question).fetchall()
            for question in (
                "SELECT * FROM datasets ORDER BY repo_id",
                "SELECT * FROM quotes ORDER BY repo_id, field",
                "SELECT d.repo_id, v.vector FROM dataset d JOIN in_force i USING (dataset_id) "
                "JOIN embedding v USING (result_id) ORDER BY d.repo_id",
                "SELECT repo_id, input_hash, text, summary FROM card ORDER BY repo_id",
                "SELECT stage, repo_id FROM todo",
                "SELECT dataset_id, stage FROM failure",
            )
        )


def assert_sound(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []


def lost(services: Services, kind: str, ends: list[int]) -> list[int]:
    """For each kill, how many texts were sent before it and had to be sent again after it.

    `ends` holds the length of the log at each kill.
    """
    last: dict[str, int] = {}
    found = [0] * len(ends)
    run = 0
    for place, record in enumerate(services.requests):
        while run < len(ends) and place >= ends[run]:
            run += 1
        for key in record.items if kind == "embed" else (record.key,):
            if record.kind != kind:
                continue
            if key in last:
                assert last[key] < run, f"{kind} of {key} was asked for twice in one run"
                found[last[key]] += 1
            last[key] = run
    return found


def came_to(moment: int, services: Services) -> bool:
    """Whether so many requests have arrived."""
    return len(services.board.requests) >= moment


def test_25_kills(zygote: Zygote, tmp_path: Path) -> None:
    chance = random.Random(11)
    with Services(generated_cards(CARDS, seed=11), latency_scale=0.01, jitter=0.5) as services:
        undisturbed = content(finish(zygote, services, tmp_path / "undisturbed", CARDS))
        total = len(services.requests)
        services.reset_log()

        disturbed, ends = tmp_path / "disturbed", list[int]()
        for kill in range(KILLS):
            begun, left = len(services.requests), total - len(services.requests)
            # Anywhere from the first request of the run to twice its share of what is left to do.
            moment = begun + max(1, min(left - 30, chance.randrange(2 * left // (KILLS - kill))))
            run = sync(zygote, services, disturbed, CARDS)
            services.wait_for(partial(came_to, moment))
            assert run.kill() == -signal.SIGKILL
            # Broken connections end the requests in progress, so that every request in the log is of a run before.
            services.wait_for(lambda s: all(record.ended_at is not None for record in s.board.requests))
            ends.append(len(services.requests))
            assert_sound(disturbed / "hfmap.sqlite")
        db = finish(zygote, services, disturbed, CARDS)

        assert_sound(db)
        assert content(db) == undisturbed
        twice = Counter[int]()
        for kind in ("extract", "summarize"):
            assert set(services.keys(kind)) == {row[0] for row in undisturbed[0]}
            twice.update(dict(enumerate(lost(services, kind, ends))))
        assert max(twice.values()) <= MODEL_CALLS, twice
        assert max(lost(services, "embed", ends)) <= 96
        assert max(lost(services, "card", ends)) <= 16
    with closing(sqlite3.connect(db)) as conn:
        outcomes = Counter(row[0] for row in conn.execute("SELECT outcome FROM run"))
        # A run that was killed before it had entered itself is not in the ledger.
        assert outcomes["done"] == 1
        assert outcomes["interrupted"] == outcomes.total() - 1 >= KILLS - 5


def test_kills_while_the_database_is_made(zygote: Zygote, tmp_path: Path) -> None:
    with Services(generated_cards(30)) as services:
        undisturbed = content(finish(zygote, services, tmp_path / "undisturbed", 30))
        for number, sign in enumerate(("hfmap.sqlite.lock", "hfmap.sqlite", "hfmap.sqlite-wal")):
            folder = tmp_path / f"fresh{number}"
            run = sync(zygote, services, folder, 30)
            wait_for((folder / sign).exists)
            run.kill()
            assert content(finish(zygote, services, folder, 30)) == undisturbed
            assert_sound(folder / "hfmap.sqlite")


def test_a_wal_file_left_behind(zygote: Zygote, tmp_path: Path) -> None:
    """What power loss leaves: the database and its WAL, without the shared memory and the lock of the process."""
    with Services(generated_cards(60)) as services:
        undisturbed = content(finish(zygote, services, tmp_path / "undisturbed", 60))
        services.reset_log()
        first, second = tmp_path / "first", tmp_path / "second"
        second.mkdir()
        with services.hold("embed"):
            run = sync(zygote, services, first, 60)
            services.wait_for(lambda s: s.count("extract", "summarize", ok=True) >= 100 and s.now("embed") == 1)
            os.kill(run.pid, signal.SIGSTOP)
            for name in ("hfmap.sqlite", "hfmap.sqlite-wal"):
                shutil.copy(first / name, second / name)
            assert (second / "hfmap.sqlite-wal").stat().st_size > 0
            run.kill()
        assert content(finish(zygote, services, second, 60)) == undisturbed
        assert_sound(second / "hfmap.sqlite")
        # Enrichment that was in the WAL alone is not paid for again.
        assert services.count("extract", "summarize") <= 120 + 2 * MODEL_CALLS


def test_a_second_sync_is_refused_at_once(zygote: Zygote, run_hfmap: Run, tmp_path: Path) -> None:
    with Services(generated_cards(20)) as services:
        with services.hold("extract"):
            run = sync(zygote, services, tmp_path, 20)
            services.wait_for(lambda s: s.now("extract") == MODEL_CALLS)
            second = run_hfmap("sync", "--no-map", env=services.env, code=1)
            assert f"process {run.pid}" in second.stderr
            assert "hfmap status" in second.stderr
            assert services.count("list") == 1
            run_hfmap("status")
        assert run.wait() == 0
    assert_sound(tmp_path / "hfmap.sqlite")


def limit_files(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_files_that_may_not_grow(zygote: Zygote, tmp_path: Path) -> None:
    with Services(generated_cards(80)) as services:
        undisturbed = content(finish(zygote, services, tmp_path / "undisturbed", 80))
        command = hfmap_command("sync", "--no-map", "--target", 80, "--overshoot", 80)
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_environment(**services.env), capture_output=True, text=True, check=False,
            preexec_fn=limit_files(700_000),
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert "hfmap.sqlite" in done.stderr
        assert_sound(tmp_path / "hfmap.sqlite")
        assert content(finish(zygote, services, tmp_path, 80)) == undisturbed


def in_own_mounts(script: str, folder: Path, services: Services) -> subprocess.CompletedProcess[str]:
    """Run a shell script that may mount things; skips where that is not allowed."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-eu", "-c"]
    try:
        subprocess.run([*command, "mount -t tmpfs none /mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody mount a file system of their own")
    env = clean_environment(**services.env, SYNC=shlex.join(hfmap_command("sync", "--no-map")))
    return subprocess.run([*command, script], cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_a_full_disk(zygote: Zygote, tmp_path: Path) -> None:
    with Services(generated_cards(80)) as services:
        undisturbed = content(finish(zygote, services, tmp_path / "undisturbed", 80))
        script = """
            mkdir disk && mount -t tmpfs -o size=1200k none disk
            (cd disk && eval "$SYNC") || echo "exit code $?"
            cp -r disk full
            mount -o remount,size=100m disk
            (cd disk && eval "$SYNC")
            cp -r disk finished
        """
        done = in_own_mounts(script, tmp_path, services)
        assert done.returncode == 0, done.stderr
    assert "exit code 1" in done.stdout
    assert "The disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    for name in ("full", "finished"):
        assert_sound(tmp_path / name / "hfmap.sqlite")
    assert content(tmp_path / "finished" / "hfmap.sqlite") == undisturbed


def test_a_read_only_database(zygote: Zygote, tmp_path: Path) -> None:
    with Services(generated_cards(20)) as services:
        before = content(finish(zygote, services, tmp_path / "disk", 20))
        services.hub.add(DatasetState("new/one", card=b"Something new. " * 50, likes=10**6))
        services.reset_log()
        script = """
            mount --bind disk disk && mount -o remount,ro,bind disk
            (cd disk && eval "$SYNC") || echo "exit code $?"
        """
        done = in_own_mounts(script, tmp_path, services)
        assert "exit code 1" in done.stdout, done.stderr
        assert "read-only" in done.stderr.lower()
        assert "Traceback" not in done.stderr
        assert services.count("card", "embed", "extract", "summarize") == 0
    assert content(tmp_path / "disk" / "hfmap.sqlite") == before
