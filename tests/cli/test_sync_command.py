"""The flags of sync and map, and the way every command ends. The run itself is a stand-in here."""

from __future__ import annotations

import errno
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import engine.run
from engine import errors
from engine.cli._output import say
from engine.cli.app import hfmap as command
from engine.config import Secrets, Settings
from engine.events import Bus, ItemFailed, RunFinished
from engine.run import RunResult

Work = Callable[[Settings, Secrets, Bus], RunResult]
Install = Callable[[Work], list[Settings]]


@pytest.fixture
def run_is(monkeypatch: pytest.MonkeyPatch) -> Install:
    def install(work: Work) -> list[Settings]:
        seen: list[Settings] = []

        def run(settings: Settings, secrets: Secrets, bus: Bus) -> RunResult:
            seen.append(settings)
            return work(settings, secrets, bus)

        for name in ("sync", "draw"):
            monkeypatch.setattr(engine.run, name, run)
        return seen

    return install


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def result(code: int = 0) -> RunResult:
    return RunResult(1, "done", code, {}, {}, 0.0, Path("site/index.html"))


def finish(_settings: Settings, _secrets: Secrets, bus: Bus) -> RunResult:
    bus(RunFinished(1, "done", 0, page="site/index.html"))
    return result()


def test_every_flag_arrives(run_is: Install) -> None:
    seen = run_is(finish)
    line = (
        "sync --db d.sqlite --out o --source sample --target 7 --overshoot 9 --rank downloads --embedder local"
        " --llm local --model m --refresh --retry-failed --no-map --budget 0.5 --yes --json"
    )
    assert call(*line.split()).exit_code == 0
    assert seen[0] == Settings(
        db=Path("d.sqlite"),
        out=Path("o"),
        source="sample",
        target=7,
        overshoot=9,
        rank="downloads",
        embedder="local",
        llm="local",
        model="m",
        refresh=True,
        no_map=True,
        retry_failed=True,
        budget=0.5,
        yes=True,
        json=True,
    )
    assert call("map", "--out", "elsewhere", "--quiet").exit_code == 0
    assert (seen[1].out, seen[1].quiet, seen[1].origin("out")) == (Path("elsewhere"), True, "--out")


def test_it_ends_with_the_pages_path(run_is: Install) -> None:
    run_is(finish)
    assert call("sync").stdout == "site/index.html\n"
    assert call("sync", "--quiet").output == ""
    assert json.loads(call("sync", "--json").stdout)["page"] == "site/index.html"


@pytest.mark.parametrize("code", [0, 1, 3, 4, 5, 130])
def test_the_runs_exit_code_is_the_commands(run_is: Install, code: int) -> None:
    run_is(lambda *_: result(code))
    assert call("sync").exit_code == code


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (errors.UsageError("No."), 2, "No."),
        (errors.BudgetReachedError("The budget is reached.", hint="Raise --budget."), 4, "Raise --budget."),
        (errors.KeyRefusedError("Cohere refuses the key."), 5, "Cohere"),
        (errors.QuotaError("No credit."), 5, "credit"),
        (ExceptionGroup("g", [ValueError("x"), errors.KeyRefusedError("Refused.")]), 5, "Refused."),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (sqlite3.OperationalError("database is locked"), 1, "locked"),
        (sqlite3.DatabaseError("database disk image is malformed"), 1, "doctor"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "Free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "/x: Permission denied."),
        (MemoryError(), 1, "memory"),
        (RuntimeError("odd\nthing"), 1, "RuntimeError: odd"),
    ],
)
def test_every_error_is_a_sentence_and_an_exit_code(
    run_is: Install, error: BaseException, code: int, words: str
) -> None:
    def work(_settings: Settings, _secrets: Secrets, bus: Bus) -> RunResult:
        bus(ItemFailed("card", "a/b", "503", 5, permanent=False))
        raise error

    run_is(work)
    said = call("sync", "--quiet")
    assert said.exit_code == code
    assert words in said.stderr
    assert "a/b" in said.stderr
    assert "Traceback" not in said.stderr
    debugged = call("sync", "--quiet", "--debug")
    assert debugged.exit_code == code
    assert "Traceback" in debugged.stderr
    assert "Traceback" in call("--debug", "sync", "--quiet").stderr


def test_a_fault_of_hfmap_says_where_to_report_it() -> None:
    said = say(ZeroDivisionError("division by zero"))
    assert not said.expected
    assert "ZeroDivisionError" in said.message
    assert "report" in (said.hint or "")


@pytest.mark.parametrize("source", ["smaple", "no/such/folder", "Hub"])
def test_a_source_that_is_not_there_is_a_usage_error(run_is: Install, source: str) -> None:
    seen = run_is(finish)
    said = call("sync", "--source", source)
    assert said.exit_code == 2
    assert f"'{source}' (from --source)" in said.stderr
    assert seen == []


def test_a_file_of_another_kind_is_a_usage_error(run_is: Install, tmp_path: Path) -> None:
    seen = run_is(finish)
    (tmp_path / "cards.csv").write_text("id,card")
    said = call("sync", "--source", str(tmp_path / "cards.csv"))
    assert said.exit_code == 2
    assert "does not read" in said.stderr
    assert seen == []


def test_a_wrong_setting_ends_before_anything_is_done(run_is: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = run_is(finish)
    monkeypatch.setenv("HFMAP_BUDGET", "lots")
    said = call("sync")
    assert said.exit_code == 2
    assert "HFMAP_BUDGET" in said.stderr
    assert call("sync", "--budgte", "1").exit_code == 2
    assert seen == []


STREAM = """
import engine.run, sys
from engine.events import ItemDone
def sync(settings, secrets, bus):
    for number in range(200_000):
        bus(ItemDone("card", "a/b"))
    print(f"went on to {number}", file=sys.stderr)
    return engine.run.RunResult(1, "partial", 3, {}, {}, 0.0, None)
engine.run.sync = sync
from engine.cli import main
main(["sync", "--json"])
"""


def test_a_run_goes_on_when_nobody_reads_its_events(
    tmp_path: Path, child_environment: Callable[..., dict[str, str]]
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", STREAM],
        cwd=tmp_path,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.wait(timeout=120) == 3
        assert child.stderr.read() == b"went on to 199999\n"
