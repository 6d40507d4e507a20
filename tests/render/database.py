"""Databases for the tests of the passes: real files with the real schema, filled with cards and vectors."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.database import Database

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
    """A database with a run, and with specs of embeddings (1) and extraction (2) in force."""
    db = Database(path, NOW)
    db.run()
    for stage in ("embed", "extract"):
        db.spec(stage, "local", "model", digest="spec")
    db.conn.commit()
    return db.conn


def put(conn: sqlite3.Connection, cards: Sequence[Card]) -> None:
    """Add cards, or change those that are there."""
    db = Database(conn, NOW)
    for card in cards:
        text_hash = hashlib.blake2b(card.text.encode(), digest_size=8).hexdigest()
        known = conn.execute("SELECT dataset_id FROM dataset WHERE repo_id = ?", (card.repo_id,)).fetchone()
        columns = {"pretty_name": card.pretty_name, "tags": json.dumps(list(card.tags)), "on_map": 1} | card.columns
        if known is None:
            number = db.dataset(card.repo_id, **{"rank": None, "card_status": "ok"} | columns)
            db.card(number, card.text, repo_id=card.repo_id, pretty_name=card.pretty_name, input_hash=text_hash)
        else:
            (number,) = known
            sets = ", ".join(f"{name} = ?" for name in columns)
            conn.execute(f"UPDATE dataset SET {sets} WHERE dataset_id = ?", (*columns.values(), number))
            conn.execute(
                "UPDATE card SET text = ?, input_hash = ? WHERE dataset_id = ?", (card.text, text_hash, number)
            )
        done = {row[0] for row in conn.execute("SELECT spec_id FROM result WHERE input_hash = ?", (text_hash,))}
        if 1 not in done:
            db.embedding(db.result(1, text_hash), card.vector)
        if card.subject and 2 not in done:
            db.field(db.result(2, text_hash), "subject_domain", card.subject)
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
