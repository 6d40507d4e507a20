"""Naming topics by a model that fails: what was answered is kept, the map is drawn, and the next run asks for the rest."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, clean_environment, wait_for
from tests.services import Services
from tests.zygote import Zygote

Rows = Callable[..., list[tuple[Any, ...]]]
BY = (
    "SELECT named_by <> 'key-phrases', count(*) FROM topic WHERE tree_id = (SELECT max(tree_id) FROM topic_tree) "
    "GROUP BY 1 ORDER BY 1"
)
LAST_RUN = "SELECT outcome, exit_code FROM run ORDER BY run_id DESC LIMIT 1"


def by(rows: Rows) -> dict[int, int]:
    """How many topics key phrases (0) and a model (1) have named."""
    return dict(rows(BY))


@pytest.fixture
def services(sample_map: Path, tmp_path: Path) -> Iterator[Services]:
    """The doubles, beside a database whose topics have names from key phrases."""
    with (
        closing(sqlite3.connect(sample_map / "hfmap.sqlite")) as source,
        closing(sqlite3.connect(tmp_path / "hfmap.sqlite")) as copy,
    ):
        source.backup(copy)
    with Services() as doubles:
        yield doubles


def test_a_key_that_is_refused_after_some_names(draw_hfmap: Run, rows: Rows, services: Services) -> None:
    asked = 0

    def answer(_: dict[str, Any]) -> None:
        nonlocal asked
        asked += 1
        services.anthropic.faults.set(refuse_key=asked >= 3)

    services.anthropic.answer = answer
    done = draw_hfmap("map", "--llm", "anthropic", env=services.env, code=5)
    assert "refuses the key" in done.stderr
    assert done.stdout.strip().endswith("index.html")
    assert rows(LAST_RUN) == [("failed", 5)]
    assert by(rows)[1] >= 3


def test_a_budget_that_is_reached_after_some_names(draw_hfmap: Run, rows: Rows, services: Services) -> None:
    done = draw_hfmap("map", "--llm", "anthropic", "--budget", "0.08", env=services.env, code=4)
    assert "The budget of $0.08 is reached" in done.stderr
    assert rows(LAST_RUN) == [("budget", 4)]
    ((calls, usd),) = rows("SELECT sum(calls), sum(usd) FROM spending WHERE stage = 'topics'")
    assert calls == services.count("topic") > 0
    assert usd <= 0.08
    finish(draw_hfmap, rows, services, paid=calls)


def test_ctrl_c_waits_for_the_names_that_are_being_asked_for(
    drawing_zygote: Zygote, draw_hfmap: Run, rows: Rows, services: Services, tmp_path: Path
) -> None:
    with services.hold("topic"):
        run = drawing_zygote.start(tmp_path, clean_environment(**services.env), "map", "--llm", "anthropic")
        services.wait_for(lambda s: s.now("topic") >= 3)
        os.kill(run.pid, signal.SIGINT)
        wait_for(lambda: "Stopping" in (tmp_path / "hfmap.log").read_text(encoding="utf-8"))
    assert run.wait() == 130
    assert rows(LAST_RUN) == [("interrupted", 130)]
    assert not (tmp_path / "site").exists()
    finish(draw_hfmap, rows, services, paid=services.count("topic"))


def finish(draw_hfmap: Run, rows: Rows, services: Services, *, paid: int) -> None:
    """The rest is asked for, and nothing that was paid for before."""
    kept = by(rows).get(1, 0)
    assert kept >= paid > 0
    services.clear_faults()
    services.reset_log()
    draw_hfmap("map", "--llm", "anthropic", env=services.env)
    names = by(rows)
    assert 0 < services.count("topic") <= sum(names.values()) - kept + names.get(0, 0)
    assert names[1] > kept
    assert rows(LAST_RUN) == [("done", 0)]
