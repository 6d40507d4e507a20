"""A small database as a run leaves it, and ways to call the command line."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.store.connection import prepare

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
    conn = sqlite3.connect(path)
    with conn:
        conn.execute("PRAGMA foreign_keys = ON")
        conn.execute(
            "INSERT INTO run (run_id, command, source, started_at, finished_at, outcome, exit_code)"
            " VALUES (1, 'sync', 'hub', ?, '2026-11-20T10:01:30+00:00', 'partial', 3)",
            (NOW,),
        )
        for spec_id, stage in enumerate(("embed", "extract", "summarize"), 1):
            conn.execute(
                "INSERT INTO spec (spec_id, stage, spec_hash, provider, model, parameters, created_at)"
                " VALUES (?, ?, ?, 'local', 'rules-1', '{}', ?)",
                (spec_id, stage, f"h{spec_id}", NOW),
            )
            conn.execute("INSERT INTO current_spec (stage, spec_id) VALUES (?, ?)", (stage, spec_id))
        for number, row in enumerate(DATASETS, 1):
            _dataset(conn, number, *row)
        conn.execute(
            "INSERT INTO failure (dataset_id, stage, spec_id, input_hash, kind, reason, attempts,"
            " run_id, failed_at) VALUES"
            " (4, 'extract', 2, 'hash4', 'permanent', 'The model declined.', 1, 1, ?)",
            (NOW,),
        )
        conn.execute(
            "INSERT INTO failure (dataset_id, stage, spec_id, input_hash, kind, reason, attempts,"
            " run_id, failed_at) VALUES"
            " (6, 'card', NULL, NULL, 'transient', '503 Service Unavailable', 5, 1, ?)",
            (NOW,),
        )
        conn.execute(
            "INSERT INTO call (run_id, stage, provider, model, items, input_tokens, output_tokens, usd,"
            " seconds, outcome, finished_at)"
            " VALUES (1, 'extract', 'anthropic', 'claude-haiku', 1, 1000, 100, 0.0015, 0.9, 'ok', ?)",
            (NOW,),
        )
    conn.close()


def _dataset(
    conn: sqlite3.Connection,
    number: int,
    repo_id: str,
    pretty: str | None,
    likes: int,
    status: str,
    card: str | None,
    summary: str | None,
    subject: str | None,
) -> None:
    author, name = repo_id.split("/")
    conn.execute(
        "INSERT INTO dataset (dataset_id, repo_id, author, name, pretty_name, url, rank, on_map, likes,"
        " downloads, tags, card_status, card_reason, license_family)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,'MIT')",
        (number, repo_id, author, name, pretty, f"https://huggingface.co/datasets/{repo_id}", number,
         status == "ok", likes, likes * 10, '["language:en"]', status, None if status == "ok" else "said no"),
    )  # fmt: skip
    if card is None:
        return
    conn.execute(
        "INSERT INTO card (dataset_id, repo_id, pretty_name, text, body_chars, front_matter, input_hash,"
        " stored_at) VALUES (?,?,?,?,?,'none',?,?)",
        (number, repo_id, pretty, card, len(card), f"hash{number}", NOW),
    )
    vector = np.zeros(4, dtype="<f4")
    vector[number % 4], vector[0] = 1.0, vector[0] + 0.5
    result = _result(conn, 1, number)
    conn.execute(
        "INSERT INTO embedding (result_id, dimensions, vector) VALUES (?, 4, ?)",
        (result, (vector / np.linalg.norm(vector)).tobytes()),
    )
    if subject:
        result = _result(conn, 2, number)
        conn.execute(
            "INSERT INTO field_value (result_id, field, value, quote, verified, confidence)"
            " VALUES (?, 'subject_domain', ?, ?, 1, 0.9)",
            (result, f'"{subject}"', card[:10]),
        )
        conn.execute(
            "INSERT INTO field_value (result_id, field, value, quote)"
            " VALUES (?, 'geo_scope', '[\"not_stated\"]', 'made up')",
            (result,),
        )
    if summary:
        conn.execute("INSERT INTO summary (result_id, text) VALUES (?, ?)", (_result(conn, 3, number), summary))


def _result(conn: sqlite3.Connection, spec: int, number: int) -> int:
    cursor = conn.execute(
        "INSERT INTO result (spec_id, input_hash, run_id, created_at) VALUES (?,?,1,?)",
        (spec, f"hash{number}", NOW),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


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
    conn = sqlite3.connect(database)
    with conn:
        result = conn.execute("SELECT result_id FROM in_force WHERE dataset_id = 1 AND stage = 'extract'").fetchone()[0]
        for field, value in (
            ("training_stage", '["preference", "sft"]'),
            ("upstream_models", '["GPT-4"]'),
            ("provenance_method", '"web-scraped"'),
        ):
            conn.execute(
                "INSERT INTO field_value (result_id, field, value, quote, verified) VALUES (?, ?, ?, 'q', 1)",
                (result, field, value),
            )
    conn.close()
