from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cli._output import Output
from engine.cli._progress import Progress
from engine.cli._tally import Tally
from engine.config import Secrets
from engine.events import (
    Bus,
    CallFinished,
    CallRetried,
    Event,
    ItemDone,
    ItemFailed,
    ItemSkipped,
    Notice,
    PassFinished,
    PassStarted,
    RunFinished,
    RunStarted,
    StageClosed,
    StageGrew,
    WaitingChanged,
)
from engine.usage import Usage

EVENTS: list[Event] = [
    RunStarted(1, "sync", {"source": "hub"}),
    StageGrew("card", 3),
    ItemDone("card", "a/a"),
    ItemSkipped("card", "a/b", "unchanged"),
    CallRetried("card", "429", 1.5, limited=True),
    CallRetried("card", "429", 3.0, limited=True),
    WaitingChanged("card", 2),
    WaitingChanged("card", 0),
    StageClosed("card"),
    ItemFailed("card", "evil/\x1b[31m", "503\nService", 5, permanent=False),
    CallFinished("extract", "anthropic", "claude", 1, Usage(input=10, output=5), 0.25, 0.9, 0, "ok"),
    PassStarted("layout"),
    PassFinished("layout", 2.0, skipped=False, detail="3 points"),
    PassStarted("page"),
    PassFinished("page", 0.0, skipped=True),
    Notice("The page links to a CDN.", "warning"),
    RunFinished(1, "partial", 3, {"card": 3}, {}, 0.25, "site/index.html"),
]


def play(mode: str, events: list[Event]) -> None:
    output = Output(mode)  # type: ignore[arg-type]
    progress = Progress(output)
    with progress:
        bus = Bus(progress)
        for event in events:
            bus(event)
        if isinstance(events[-1], RunFinished):
            output.page(Path("site/index.html"))
    progress.close_words()


def test_a_pipe_gets_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    play("human", EVENTS)
    out, err = capsys.readouterr()
    assert out == "site/index.html\n"
    lines = err.splitlines()
    assert lines[0] == "cards: started"
    assert lines[1] == "cards: the service asks to slow down; waiting 1.5 s"
    assert lines[2].startswith("cards: 3 of 3, 1 unchanged, 1 failed, 2 retries in ")
    assert lines[3:6] == ["layout: started", "layout: done in 2.0 s, 3 points", "page: started"]
    assert lines[6:8] == ["page: unchanged", "Warning: The page links to a CDN."]
    assert lines[8] == "hfmap: 1 item failed:"
    assert lines[9] == "  cards  evil/␛[31m: 503⏎Service (will be tried again)"
    assert lines[10].startswith("partial in ")
    assert lines[10].endswith("$0.2500 spent")
    assert len(lines) == 11


def test_a_long_stage_says_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    events: list[Event] = [StageGrew("embed", 20_000)]
    events += [ItemDone("embed", str(number)) for number in range(20_000)]
    play("human", [*events, StageClosed("embed")])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 + 8
    assert lines[1] == "embeddings: 100"
    assert lines[-1].startswith("embeddings: 20,000 of 20,000 in ")


def test_json_is_a_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    play("json", EVENTS)
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == len(EVENTS)
    assert lines[0]["event"] == "run_started"
    assert lines[0]["settings"] == {"source": "hub"}
    assert lines[10]["usage"]["input"] == 10
    assert lines[9]["item"] == "evil/\x1b[31m"
    assert lines[-1]["page"] == "site/index.html"
    assert "\x1b" not in out
    # What failed is an error and is said in every mode; all else is in the events.
    assert err.splitlines()[0] == "hfmap: 1 item failed:"
    assert len(err.splitlines()) == 2


def test_quiet_says_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    play("quiet", [e for e in EVENTS if not isinstance(e, ItemFailed)])
    assert capsys.readouterr() == ("", "")
    play("quiet", [*EVENTS, Notice("Cohere refuses the key.", "error")])
    out, err = capsys.readouterr()
    assert out == ""
    assert "hfmap: Cohere refuses the key.\n" in err
    assert "503⏎Service" in err


@pytest.mark.parametrize("mode", ["human", "json", "quiet"])
def test_no_key_is_ever_shown(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    key = "co-key-0123456789"
    output = Output(mode, redact=Secrets({"CO_API_KEY": key}).redact)  # type: ignore[arg-type]
    progress = Progress(output)
    for event in (
        RunStarted(1, "sync", {"key": key}),
        ItemFailed("embed", "a/b", f"401 for {key}", 1, permanent=True),
        CallRetried("embed", f"header {key}", 1.0, limited=False),
        Notice(f"The key {key} is refused.", "error"),
    ):
        progress(event)
    progress.close_words()
    output.fail(RuntimeError(f"Bearer {key}"), debug=True)
    out, err = capsys.readouterr()
    assert key not in out + err
    assert "***" in err


def test_many_failures_are_counted_and_the_first_named(capsys: pytest.CaptureFixture[str]) -> None:
    play("quiet", [ItemFailed("card", f"a/{n}", "503", 5, permanent=True) for n in range(1000)])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "hfmap: 1,000 items failed:"
    assert len(lines) == 1 + 20 + 1
    assert "hfmap sql" in lines[-1]


def test_rates_and_the_end_of_a_stage() -> None:
    tally = Tally()
    tally.count(StageGrew("card", 2))
    stage = tally.stages["card"]
    assert not stage.complete
    start = stage.started or 0.0
    assert stage.rate(start) is None
    tally.count(ItemDone("card", "a/a"))
    assert stage.rate(start + 2.0) == 0.5
    tally.count(StageClosed("card"))
    assert not stage.complete
    tally.count(ItemDone("card", "a/b"))
    assert stage.complete


LIVE = """
import sys, time
from engine.cli._output import Output
from engine.cli._progress import Progress
from engine.events import *
from engine.usage import Usage
output = Output()
assert output.live
progress = Progress(output)
with progress:
    progress(StageGrew("extract", 4))
    progress(ItemDone("extract", "a/a"))
    progress(WaitingChanged("extract", 3))
    progress(CallFinished("extract", "anthropic", "m", 1, Usage(), 0.5, 0.1, 0, "ok"))
    progress(Notice("[bold]a notice \\x1b]0;title\\x07", "warning"))
    print("from a library", file=sys.stderr)
    answer = output.confirm("Go on?")
    progress(ItemFailed("extract", "a/b", "refused", 1, permanent=True))
    progress(RunFinished(1, "done", 0, {}, {}, 0.5, "site/index.html"))
    output.page("site/index.html")
progress.close_words()
print("answer", answer, file=sys.stderr)
"""


def test_a_terminal_gets_a_moving_table(tmp_path: Path, child_environment: Callable[..., dict[str, str]]) -> None:
    leader, follower = pty.openpty()
    environment = child_environment(TERM="xterm", COLUMNS="100", LINES="30")
    child = subprocess.Popen(
        [sys.executable, "-c", LIVE],
        cwd=tmp_path,
        env=environment,
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    asked = False
    while select.select([leader], [], [], 60)[0]:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the child has gone: Linux reports it as an input/output error
            break
        if not part:
            break
        shown += part
        if not asked and b"Go on? [y/N] " in shown:
            os.write(leader, b"y\n")
            asked = True
    assert child.stdout is not None
    data = child.stdout.read()
    child.stdout.close()
    assert child.wait(timeout=120) == 0
    os.close(leader)
    text = shown.decode()
    assert data == b"site/index.html\n"
    for words in ("fields", "1/4+", "3 requests wait for a rate limit", "$0.5000 spent", "1 failed", "answer True"):
        assert words in text
    assert "[bold]a notice ␛]0;title" in text
    assert "from a library" in text
    assert "\x1b]0;" not in text
