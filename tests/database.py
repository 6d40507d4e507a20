"""Fill databases with the real schema, row by row; what a test does not say has a plain default.

with closing(Database(tmp_path / "hfmap.sqlite")) as db:
    db.run()
    embed, extract = db.spec("embed"), db.spec("extract", "anthropic", "claude-haiku")
    number = db.dataset("org/birds", likes=7)
    key = db.card(number, "Songs of birds.", repo_id="org/birds")
    db.embedding(db.result(embed, key), [0.6, 0.8])
    db.fields(db.result(extract, key), {"subject_domain": "speech-and-audio"})

Larger fillings stand on it: `tests.cli.small` (figures that can be worked out on paper), `tests.cli.conftest` (each
state a dataset can be in), `tests.render.database` (cards on subjects, with vectors in clouds) and `tests.render.fill`
(pages of any size, also with texts that try to run as scripts).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tests.conftest import ROOT

SCHEMA = ROOT / "hfmap.sqlite.schema.sql"
NOW = "2026-11-20T10:00:00Z"


class Database:
    """A connection to a database, and a method a table.

    Args:
        target: a path, where a database is made; ":memory:"; or a connection to one that is there.
        now: the time of everything that is put in.
    """

    def __init__(self, target: Path | str | sqlite3.Connection, now: str = NOW) -> None:
        self.now = now
        if isinstance(target, sqlite3.Connection):
            self.conn = target
            return
        self.conn = sqlite3.connect(target)
        self.conn.executescript(SCHEMA.read_text(encoding="utf-8"))
        self.conn.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        """Commit, and close the connection."""
        self.conn.commit()
        self.conn.close()

    def insert(self, table: str, **columns: Any) -> int:
        """Put a row in; return its id."""
        names, places = ", ".join(columns), ", ".join("?" * len(columns))
        done = self.conn.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(columns.values()))
        assert done.lastrowid is not None
        return done.lastrowid

    def run(self, command: str = "sync", **columns: Any) -> int:
        """A run; it begins now, and has not ended unless `finished_at` says so."""
        return self.insert("run", command=command, **{"started_at": self.now} | columns)

    def spec(
        self, stage: str, provider: str = "local", model: str = "rules-1", *, digest: str | None = None,
        current: bool = True,
    ) -> int:  # fmt: skip
        """How a stage makes its results; in force unless `current` is false."""
        (number,) = self.conn.execute("SELECT count(*) + 1 FROM spec").fetchone()
        spec = self.insert(
            "spec", stage=stage, spec_hash=digest or f"h{number}", provider=provider, model=model, parameters="{}",
            created_at=self.now,
        )  # fmt: skip
        if current:
            self.conn.execute("INSERT OR REPLACE INTO current_spec (stage, spec_id) VALUES (?, ?)", (stage, spec))
        return spec

    def dataset(self, repo_id: str, **columns: Any) -> int:
        """A dataset, on the map unless `on_map` says otherwise; the last in rank by default."""
        (number,) = self.conn.execute("SELECT count(*) + 1 FROM dataset").fetchone()
        given = {"dataset_id": number, "name": repo_id.rpartition("/")[2], "rank": number, "on_map": 1}
        return self.insert("dataset", repo_id=repo_id, **given | columns)

    def card(self, number: int, text: str, **columns: Any) -> str:
        """A dataset's card; return its input hash, by which results know it."""
        given = {"body_chars": len(text), "front_matter": "ok", "input_hash": f"hash{number}", "stored_at": self.now}
        self.insert("card", dataset_id=number, text=text, **(given := given | columns))
        return str(given["input_hash"])

    def result(self, spec: int, input_hash: str, run: int = 1) -> int:
        """What a stage has made of a card."""
        return self.insert("result", spec_id=spec, input_hash=input_hash, run_id=run, created_at=self.now)

    def embedding(self, result: int, vector: ArrayLike) -> None:
        """The vector of a result, stored as float32."""
        stored = np.asarray(vector, dtype="<f4")
        self.insert("embedding", result_id=result, dimensions=stored.size, vector=stored.tobytes())

    def field(self, result: int, name: str, value: Any, **columns: Any) -> None:
        """A field of a result; its value is stored as JSON, and None as no value."""
        stored = None if value is None else json.dumps(value)
        self.insert("field_value", result_id=result, field=name, value=stored, **columns)

    def fields(self, result: int, values: Mapping[str, Any], quote: str = "q") -> None:
        """Fields with the same quote, which is in the card."""
        for name, value in values.items():
            self.field(result, name, value, quote=quote, verified=1)

    def summary(self, result: int, text: str) -> None:
        """The sentence of a result."""
        self.insert("summary", result_id=result, text=text)

    def layout(self, run: int, places: Mapping[int, tuple[float, float]], **columns: Any) -> int:
        """A layout, with where each dataset is on it."""
        given = {"input_hash": "layout", "parameters": "{}", "points": len(places), "created_at": self.now}
        layout = self.insert("layout", run_id=run, **given | columns)
        self.conn.executemany(
            "INSERT INTO position (layout_id, dataset_id, x, y) VALUES (?, ?, ?, ?)",
            [(layout, number, x, y) for number, (x, y) in places.items()],
        )
        return layout

    def topic_tree(self, run: int, layout: int, layers: int, **columns: Any) -> int:
        """A tree of topics, still without any."""
        given = {"input_hash": "topics", "parameters": "{}", "created_at": self.now}
        return self.insert("topic_tree", run_id=run, layout_id=layout, layers=layers, **given | columns)

    def topic(self, tree: int, layer: int, name: str, members: Sequence[int], **columns: Any) -> int:
        """A topic and its datasets."""
        given = {"named_by": "phrases", "key_phrases": "[]", "size": len(members)}
        topic = self.insert("topic", tree_id=tree, layer=layer, name=name, **given | columns)
        self.conn.executemany(
            "INSERT INTO topic_member (tree_id, dataset_id, layer, topic_id) VALUES (?, ?, ?, ?)",
            [(tree, number, layer, topic) for number in members],
        )
        return topic
