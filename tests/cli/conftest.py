"""A small database as a run leaves it, and ways to call the command line."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from engine.store.connection import prepare
from tests.database import Database

ROOT = Path(__file__).parents[2]
NOW = "2026-11-20T10:00:00+00:00"
Run = Callable[..., "subprocess.CompletedProcess[str]"]

# repo_id, pretty name, likes, card status, card, summary, subject
DATASETS = [
    (
        "openai/gsm8k",
        "Grade School Math 8K",
        900,
        "ok",
        "Arithmetic word problems for pupils.",
        "Word problems",
        "math-and-reasoning",
    ),
    (
        "stanfordnlp/imdb",
        "IMDB",
        500,
        "ok",
        "Film reviews with a sentiment label.",
        "Film reviews",
        "entertainment-and-gaming",
    ),
    (
        "mozilla/voices",
        "Voices",
        400,
        "ok",
        "Recorded speech, read aloud by volunteers.",
        "Read speech",
        "speech-and-audio",
    ),
    (
        "evil/\x1b[31mred",
        "=cmd|' /C calc'!A0",
        300,
        "ok",
        "A card\x1b]0;title\x07 with\r\ncontrol bytes.",
        None,
        None,
    ),
    ("lost/gated", None, 200, "gated", None, None, None),
    ("lost/broken", None, 100, "pending", None, None, None),
]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = (
        "CO_API_KEY",
        "ANTHROPIC_API_KEY",
        "HF_TOKEN",
        "HF_ENDPOINT",
        "CO_API_URL",
        "ANTHROPIC_BASE_URL",
        "COLUMNS",
    )
    for name in [n for n in os.environ if n.startswith("HFMAP_")] + list(names):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "hfmap.sqlite"
    fill(path)
    return path


def fill(path: Path) -> None:
    prepare(path)
    with closing(Database(sqlite3.connect(path), NOW)) as db:
        db.conn.execute("PRAGMA foreign_keys = ON")
        run = db.run(source="hub", finished_at="2026-11-20T10:01:30+00:00", outcome="partial", exit_code=3)
        specs = [db.spec(stage) for stage in ("embed", "extract", "summarize")]
        for row in DATASETS:
            _dataset(db, specs, *row)
        failed = {"run_id": run, "failed_at": NOW}
        db.insert(
            "failure", dataset_id=4, stage="extract", spec_id=specs[1], input_hash="hash4", kind="permanent",
            reason="The model declined.", attempts=1, **failed,
        )  # fmt: skip
        db.insert(
            "failure", dataset_id=6, stage="card", kind="transient", reason="503 Service Unavailable", attempts=5,
            **failed,
        )  # fmt: skip
        db.insert(
            "call", run_id=run, stage="extract", provider="anthropic", model="claude-haiku", items=1,
            input_tokens=1000, output_tokens=100, usd=0.0015, seconds=0.9, outcome="ok", finished_at=NOW,
        )  # fmt: skip


def _dataset(
    db: Database,
    specs: list[int],
    repo_id: str,
    pretty: str | None,
    likes: int,
    status: str,
    card: str | None,
    summary: str | None,
    subject: str | None,
) -> None:
    embed, extract, summarize = specs
    author, name = repo_id.split("/")
    number = db.dataset(
        repo_id, author=author, name=name, pretty_name=pretty, url=f"https://huggingface.co/datasets/{repo_id}",
        on_map=status == "ok", likes=likes, downloads=likes * 10, tags='["language:en"]', card_status=status,
        card_reason=None if status == "ok" else "said no", license_family="MIT",
    )  # fmt: skip
    if card is None:
        return
    key = db.card(number, card, repo_id=repo_id, pretty_name=pretty, front_matter="none")
    vector = np.zeros(4)
    vector[number % 4], vector[0] = 1.0, vector[0] + 0.5
    db.embedding(db.result(embed, key), vector / np.linalg.norm(vector))
    if subject:
        result = db.result(extract, key)
        db.field(result, "subject_domain", subject, quote=card[:10], verified=1, confidence=0.9)
        db.field(result, "geo_scope", ["not_stated"], quote="made up")
    if summary:
        db.summary(db.result(summarize, key), summary)


@pytest.fixture
def child_environment() -> Callable[..., dict[str, str]]:
    """The environment of a child process: that of the test, with the repository on the path."""

    def make(**extra: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **extra}

    return make


@pytest.fixture
def hfmap(tmp_path: Path, child_environment: Callable[..., dict[str, str]]) -> Run:
    """Run hfmap in a process of its own, in an empty folder."""

    def run(*arguments: str, stdin: str | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from engine.cli import main; main()", *arguments],
            cwd=tmp_path,
            env=child_environment(**extra),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def enriched(database: Path) -> None:
    """Fields that every ready question of the README finds something in."""
    more = {
        "training_stage": ["preference", "sft"],
        "upstream_models": ["GPT-4"],
        "provenance_method": "web-scraped",
    }
    with closing(Database(sqlite3.connect(database))) as db:
        (result,) = db.conn.execute(
            "SELECT result_id FROM in_force WHERE dataset_id = 1 AND stage = 'extract'"
        ).fetchone()
        db.fields(result, more)
