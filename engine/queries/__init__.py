"""Questions to a database of hfmap: a connection in, frozen dataclasses out. The command line prints these very answers.

from pathlib import Path
from engine.queries import open_database, related, search, status

with open_database(Path("hfmap.sqlite")) as conn:
    print(status(conn).on_map)
    for match in search(conn, "speech recognition", limit=5):
        print(match.repo_id, match.hit)
        print(*related(conn, match.repo_id, limit=3), sep="\n")
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.store.connection import open_readonly

if TYPE_CHECKING:
    from engine.queries.datasets import Dataset, FieldClaim, dataset, find_dataset, known_dataset
    from engine.queries.diff import Change, Changes, changes
    from engine.queries.doubts import Doubt, OtherReading, review
    from engine.queries.integrity import Integrity, check_integrity, missing_of_sqlite
    from engine.queries.matches import TextMatch, VectorMatch, alike, related, search
    from engine.queries.overview import Status, status
    from engine.queries.sql import GuardedConnection, SchemaColumn, schema
    from engine.queries.topic_tree import TopicNode, TopicOutline, topics

__all__ = [
    "Change",
    "Changes",
    "Dataset",
    "Doubt",
    "FieldClaim",
    "GuardedConnection",
    "Integrity",
    "OtherReading",
    "SchemaColumn",
    "Status",
    "TextMatch",
    "TopicNode",
    "TopicOutline",
    "VectorMatch",
    "alike",
    "changes",
    "check_integrity",
    "dataset",
    "find_dataset",
    "known_dataset",
    "missing_of_sqlite",
    "open_database",
    "related",
    "review",
    "schema",
    "search",
    "status",
    "topics",
]

# A command asks one question: the modules of the others are not imported for it. None of them has the name of a
# function, which it would hide.
_HOMES = {
    "datasets": ("FieldClaim", "Dataset", "dataset", "find_dataset", "known_dataset"),
    "diff": ("Change", "Changes", "changes"),
    "doubts": ("Doubt", "OtherReading", "review"),
    "integrity": ("Integrity", "check_integrity", "missing_of_sqlite"),
    "matches": ("TextMatch", "VectorMatch", "alike", "related", "search"),
    "overview": ("Status", "status"),
    "sql": ("GuardedConnection", "SchemaColumn", "schema"),
    "topic_tree": ("TopicNode", "TopicOutline", "topics"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"engine.queries.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading: rows addressed by name or number; text that is not UTF-8 never raises.

    The connection sees what was last committed, also while a sync runs, and belongs to the thread that opened it. A file of
    an earlier version is read as it is, if its tables are those of the present.

    Raises:
        StoreError: there is no such file, or it is not a database that this hfmap reads.
    """
    conn = open_readonly(path)
    try:
        conn.row_factory = sqlite3.Row
        conn.text_factory = lambda raw: raw.decode("utf-8", "replace")
        yield conn
    finally:
        conn.close()
