"""Databases for the tests of the passes: real files with the real schema, filled with cards and vectors."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SCHEMA = Path(__file__).parents[2] / "hfmap.sqlite.schema.sql"
NOW = "2026-01-01T00:00:00Z"


@dataclass
class Card:
    repo_id: str
    text: str
    vector: np.ndarray
    pretty_name: str | None = None
    tags: Sequence[str] = ()
    subject: str | None = None
    columns: dict[str, str] = field(default_factory=dict)


def create(path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(path)
    conn.executescript(SCHEMA.read_text(encoding="utf-8"))
    conn.execute("PRAGMA foreign_keys = ON")
    conn.execute("INSERT INTO run (run_id, command, started_at) VALUES (1, 'sync', ?)", (NOW,))
    for spec_id, stage in ((1, "embed"), (2, "extract")):
        conn.execute("INSERT INTO spec VALUES (?, ?, 'spec', 'local', 'model', '{}', ?)", (spec_id, stage, NOW))
        conn.execute("INSERT INTO current_spec VALUES (?, ?)", (stage, spec_id))
    conn.commit()
    return conn


def put(conn: sqlite3.Connection, cards: Sequence[Card]) -> None:
    """Add cards, or change those that are there."""
    for card in cards:
        text_hash = hashlib.blake2b(card.text.encode(), digest_size=8).hexdigest()
        conn.execute(
            "INSERT INTO dataset (repo_id, name, pretty_name, on_map, tags, card_status)"
            " VALUES (?, ?, ?, 1, ?, 'ok')"
            " ON CONFLICT (repo_id) DO UPDATE SET pretty_name = excluded.pretty_name, tags = excluded.tags,"
            " on_map = 1",
            (card.repo_id, card.repo_id.rpartition("/")[2], card.pretty_name, json.dumps(list(card.tags))),
        )
        (dataset_id,) = conn.execute("SELECT dataset_id FROM dataset WHERE repo_id = ?", (card.repo_id,)).fetchone()
        for column, value in card.columns.items():
            conn.execute(f"UPDATE dataset SET {column} = ? WHERE dataset_id = ?", (value, dataset_id))
        conn.execute(
            "INSERT INTO card (dataset_id, repo_id, pretty_name, text, body_chars, front_matter, input_hash,"
            " stored_at) VALUES (?, ?, ?, ?, ?, 'ok', ?, ?) ON CONFLICT (dataset_id) DO UPDATE"
            " SET text = excluded.text, input_hash = excluded.input_hash",
            (dataset_id, card.repo_id, card.pretty_name, card.text, len(card.text), text_hash, NOW),
        )
        vector = np.asarray(card.vector, dtype="<f4")
        for spec_id in (1, 2) if card.subject else (1,):
            cursor = conn.execute(
                "INSERT OR IGNORE INTO result (spec_id, input_hash, run_id, created_at) VALUES (?, ?, 1, ?)",
                (spec_id, text_hash, NOW),
            )
            if not cursor.rowcount:
                continue
            if spec_id == 1:
                conn.execute(
                    "INSERT INTO embedding VALUES (?, ?, ?)", (cursor.lastrowid, vector.size, vector.tobytes())
                )
            else:
                conn.execute(
                    "INSERT INTO field_value (result_id, field, value) VALUES (?, 'subject_domain', ?)",
                    (cursor.lastrowid, json.dumps(card.subject)),
                )
    conn.commit()


def blobs(n: int, dimensions: int = 32, *, groups: int | None = None, seed: int = 0) -> np.ndarray:
    """n vectors in round clouds, float32."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups or max(1, n // 20), dimensions))
    rows = centres[np.arange(n) % len(centres)] + 0.4 * rng.normal(size=(n, dimensions))
    return rows.astype(np.float32)


# A task's tag, and words that cards about it use.
SUBJECTS = (
    ("speech-recognition", "accent audio hours microphone narrator phoneme recording waveform"),
    ("sentiment-analysis", "complaint customer emotion hotel movie opinion polarity review"),
    ("medical-diagnosis", "clinic disease doctor drug hospital patient symptom therapy"),
    ("machine-translation", "alignment bilingual corpus interpreter parliament sentence subtitle treaty"),
    ("image-classification", "camera colour flower lens photograph pixel resolution scene"),
    ("code-generation", "algorithm bug compiler function loop python repository unit-test"),
    ("contract-review", "agreement clause court judge law lawyer party statute"),
    ("robot-manipulation", "arm episode gripper joint simulator teleoperation torque trajectory"),
)


def cards(n: int, *, vectors: np.ndarray | None = None, seed: int = 0) -> list[Card]:
    """n cards on the subjects above in turn."""
    rows = blobs(n, groups=min(n, len(SUBJECTS)), seed=seed) if vectors is None else vectors
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        task, words = SUBJECTS[i % len(SUBJECTS)]
        told = ". ".join(f"It has {a} with {b}" for a, b in rng.choice(words.split(), size=(6, 2)))
        made.append(
            Card(
                repo_id=f"org/{task}-{i:05d}",
                text=f"---\nlicense: mit\n---\n# Number {i}\n\n{told}.\n",
                vector=rows[i],
                pretty_name=f"{rng.choice(words.split()).title()} {i}",
                subject=task,
                columns={"metadata": json.dumps({"task_categories": [task]})},
            )
        )
    return made
