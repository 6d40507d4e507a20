"""Ctrl-C drains and keeps everything; a second one stops at once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import PATIENCE, Run, clean_environment, hfmap_command, wait_for
from tests.services import Services, generated_cards
from tests.zygote import Zygote

Rows = Callable[..., list[tuple[Any, ...]]]


def start(folder: Path, services: Services) -> subprocess.Popen[str]:
    return subprocess.Popen(
        hfmap_command("sync", "--no-map", "--target", 60),
        cwd=folder,
        env=clean_environment(**services.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_first_ctrl_c_lets_calls_in_flight_end_and_keeps_them(run_hfmap: Run, tmp_path: Path, rows: Rows) -> None:
    with Services(generated_cards(60, seed=9)) as services:
        with services.hold("extract", "summarize"):
            process = start(tmp_path, services)
            services.wait_for(lambda s: s.now("enrich") == 12)
            process.send_signal(signal.SIGINT)
            # The sentence says that the signal has arrived; only then may the held calls be answered.
            assert process.stderr is not None
            seen = ""
            while "Stopping" not in seen:
                line = process.stderr.readline()
                assert line, seen
                seen += line
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert services.count("extract", "summarize") == 12
        results = rows("SELECT count(*) FROM result JOIN spec USING (spec_id) WHERE stage <> 'embed'")
        assert results == [(12,)]
        assert rows("SELECT outcome, exit_code FROM run") == [("interrupted", 130)]
        assert rows("SELECT count(*) FROM failure") == [(0,)]

        run_hfmap("sync", "--no-map", "--target", 60, env=services.env)
        assert rows("SELECT count(*) FROM todo") == [(0,)]
        assert services.count("extract") == services.count("summarize") == 60


def test_the_second_ctrl_c_stops_at_once(zygote: Zygote, tmp_path: Path, rows: Rows) -> None:
    log = tmp_path / "hfmap.log"
    with Services(generated_cards(60, seed=9)) as services, services.hold("extract", "summarize"):
        run = zygote.start(tmp_path, clean_environment(**services.env), "sync", "--no-map", "--target", "60")
        services.wait_for(lambda s: s.now("enrich") == 12)
        os.kill(run.pid, signal.SIGINT)
        wait_for(lambda: "Stopping" in log.read_text())
        os.kill(run.pid, signal.SIGINT)
        assert run.wait() == 130
        assert "Traceback" not in log.read_text()
        assert rows("SELECT outcome, exit_code FROM run") == [("interrupted", 130)]
        assert rows("PRAGMA integrity_check") == [("ok",)]


def test_a_listing_that_does_not_come_holds_nothing_up(zygote: Zygote, tmp_path: Path, rows: Rows) -> None:
    """Neither does the thread that waits for it when the process is to end."""
    with Services(generated_cards(5)) as services:
        services.hub.faults.set(down="hang_silent")
        run = zygote.start(tmp_path, clean_environment(**services.env), "sync", "--no-map")
        services.wait_for(lambda s: s.now("list") == 1)
        os.kill(run.pid, signal.SIGINT)
        # Had it waited, it would have asked again: the library does, six times in all.
        assert run.wait() == 130
        assert services.count("list") == 1
    assert "Traceback" not in (tmp_path / "hfmap.log").read_text()
    assert rows("SELECT outcome, exit_code FROM run") == [("interrupted", 130)]
