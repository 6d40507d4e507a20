"""A small database, made by hand, whose figures can be worked out on paper."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.store.connection import prepare

NOW = "2026-11-20T10:00:00Z"


class Small:
    """Datasets, readers and what they read. Spec 1 embeds; others come from `reader`."""

    def __init__(self, path: Path) -> None:
        prepare(path)
        self.path = path
        self.conn = sqlite3.connect(path, isolation_level=None)
        self.conn.execute("INSERT INTO run (run_id, command, source, started_at) VALUES (1, 'sync', 'file', ?)", (NOW,))
        self._specs = 0
        self.embedder = self._spec("embed", "local", "static", current=True)

    def close(self) -> None:
        self.conn.close()

    def dataset(
        self, repo_id: str, *, card: str | None = "", vector: Sequence[float] | None = None, **columns: Any
    ) -> int:
        number: int = self.conn.execute("SELECT count(*) + 1 FROM dataset").fetchone()[0]
        values = {"dataset_id": number, "repo_id": repo_id, "name": repo_id, "rank": number, "on_map": 1} | columns
        self.conn.execute(
            f"INSERT INTO dataset ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
        )
        if card is not None:
            text = card or f"The card of {repo_id}."
            self.conn.execute(
                "INSERT INTO card (dataset_id, repo_id, text, body_chars, front_matter, input_hash, stored_at)"
                " VALUES (?, ?, ?, ?, 'none', ?, ?)",
                (number, repo_id, text, len(text), f"hash{number}", NOW),
            )
        if vector is not None:
            blob = np.asarray(vector, dtype="<f4").tobytes()
            result = self._result(self.embedder, number)
            self.conn.execute("INSERT INTO embedding VALUES (?, ?, ?)", (result, len(vector), blob))
        return number

    def reader(self, provider: str, model: str, *, current: bool = True) -> tuple[int, int]:
        return (
            self._spec("extract", provider, model, current=current),
            self._spec("summarize", provider, model, current=current),
        )

    def read(self, reader: tuple[int, int], number: int, fields: Mapping[str, Any], summary: str | None = None) -> None:
        """A field is its value, or (value, verified, problem)."""
        result = self._result(reader[0], number)
        for name, given in fields.items():
            value, verified, problem = given if isinstance(given, tuple) else (given, True, None)
            self.conn.execute(
                "INSERT INTO field_value (result_id, field, value, quote, verified, problem) VALUES (?, ?, ?, 'q', ?, ?)",
                (result, name, None if value is None else json.dumps(value), verified, problem),
            )
        if summary is not None:
            self.conn.execute(
                "INSERT INTO summary (result_id, text) VALUES (?, ?)", (self._result(reader[1], number), summary)
            )

    def _spec(self, stage: str, provider: str, model: str, *, current: bool) -> int:
        self._specs += 1
        self.conn.execute(
            "INSERT INTO spec VALUES (?, ?, ?, ?, ?, '{}', ?)",
            (self._specs, stage, f"h{self._specs}", provider, model, NOW),
        )
        if current:
            self.conn.execute("INSERT OR REPLACE INTO current_spec VALUES (?, ?)", (stage, self._specs))
        return self._specs

    def _result(self, spec: int, number: int) -> int:
        done = self.conn.execute(
            "INSERT INTO result (spec_id, input_hash, run_id, created_at) VALUES (?, ?, 1, ?)",
            (spec, f"hash{number}", NOW),
        )
        assert done.lastrowid is not None
        return done.lastrowid
