"""A small database, made by hand, whose figures can be worked out on paper."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.store.connection import prepare
from tests.database import NOW, Database

__all__ = ["NOW", "Small"]


class Small:
    """Datasets, readers and what they read. Spec 1 embeds; others come from `reader`."""

    def __init__(self, path: Path) -> None:
        prepare(path)
        self.path = path
        self.conn = sqlite3.connect(path, isolation_level=None)
        self._db = Database(self.conn)
        self._db.run(source="file")
        self.embedder = self._db.spec("embed", "local", "static")

    def close(self) -> None:
        self.conn.close()

    def dataset(
        self, repo_id: str, *, card: str | None = "", vector: Sequence[float] | None = None, **columns: Any
    ) -> int:
        number = self._db.dataset(repo_id, **{"name": repo_id} | columns)
        if card is not None:
            self._db.card(number, card or f"The card of {repo_id}.", repo_id=repo_id, front_matter="none")
        if vector is not None:
            self._db.embedding(self._db.result(self.embedder, f"hash{number}"), vector)
        return number

    def reader(self, provider: str, model: str, *, current: bool = True) -> tuple[int, int]:
        return (
            self._db.spec("extract", provider, model, current=current),
            self._db.spec("summarize", provider, model, current=current),
        )

    def read(self, reader: tuple[int, int], number: int, fields: Mapping[str, Any], summary: str | None = None) -> None:
        """A field is its value, or (value, verified, problem)."""
        result = self._db.result(reader[0], f"hash{number}")
        for name, given in fields.items():
            value, verified, problem = given if isinstance(given, tuple) else (given, True, None)
            self._db.field(result, name, value, quote="q", verified=verified, problem=problem)
        if summary is not None:
            self._db.summary(self._db.result(reader[1], f"hash{number}"), summary)
