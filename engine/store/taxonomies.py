"""Which taxonomy is in force: kept in the database, so that every command knows the fields without the file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.errors import StoreError, UsageError
from engine.store.clock import utc_now
from taxonomy.model import Taxonomy, TaxonomyError, dumps, load, loads


def load_taxonomy(path: Path | None) -> Taxonomy:
    """Read the taxonomy of a setting; None is the one that comes with hfmap.

    Raises:
        UsageError: the file cannot be used; the sentence names the line and the field.
    """
    try:
        return load(path)
    except TaxonomyError as error:
        raise UsageError(f"The taxonomy cannot be used: {error}.") from error


def taxonomy_in_force(conn: sqlite3.Connection) -> Taxonomy:
    """Return the taxonomy that the newest sync used; before the first one, the one that comes with hfmap.

    Raises:
        StoreError: what is stored cannot be read.
    """
    row = conn.execute("SELECT content FROM taxonomy WHERE in_force = 1").fetchone()
    if row is None:
        return load()
    try:
        return loads(row[0])
    except TaxonomyError as error:
        raise StoreError(
            f"The taxonomy in the database cannot be used: {error}.",
            hint="Put one in force: hfmap sync --taxonomy FILE",
        ) from error


def put_taxonomy_in_force(conn: sqlite3.Connection, taxonomy: Taxonomy) -> bool:
    """Keep a taxonomy and put it in force, inside a transaction of the caller's; False where it was already."""
    before = conn.execute("SELECT digest FROM taxonomy WHERE in_force = 1").fetchone()
    if before is not None and before[0] == taxonomy.digest:
        return False
    conn.execute("UPDATE taxonomy SET in_force = 0 WHERE in_force = 1")
    conn.execute(
        "INSERT INTO taxonomy (digest, name, content, in_force, first_used_at) VALUES (?, ?, ?, 1, ?) "
        "ON CONFLICT (digest) DO UPDATE SET in_force = 1",
        (taxonomy.digest, taxonomy.name, dumps(taxonomy), utc_now()),
    )
    return before is not None
