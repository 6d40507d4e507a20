"""A database under a taxonomy that shares one field with hfmap's own, and that under another label."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from engine.store.views import ensure_views
from taxonomy.model import loads
from tests.database import SCHEMA, Database

from .fill import fill

OWN: dict[str, Any] = {
    "name": "moods",
    "fields": [
        {
            "name": "mood", "label": "Mood", "kind": "one", "description": "How the records feel.", "rules": [],
            "slugs": {"very-calm": "Nothing stirs.", "angry": "It storms."},
        },
        {
            "name": "size", "label": "Extent", "kind": "one", "description": "How wide it is.", "rules": [],
            "slugs": {"wide": "Wide.", "narrow": "Narrow."},
        },
        {
            "name": "subject_domain", "label": "What about", "kind": "one", "description": "The topic.", "rules": [],
            "slugs": {"sea": "Water.", "land": "Earth."},
        },
        {
            "name": "uses", "label": "Uses", "kind": "many", "description": "What for.", "rules": [], "default": [],
            "slugs": {"play": "To play.", "work": "To work."},
        },
        {
            "name": "places", "label": "Places", "kind": "open", "description": "Where.", "rules": [],
            "slugs": {"not_stated": "Not said."},
        },
        {
            "name": "noisy", "label": "Noisy", "kind": "flag", "description": "Whether it is loud.", "rules": [],
            "slugs": {},
        },
    ],
}  # fmt: skip


def fill_own(conn: sqlite3.Connection, n: int) -> int:
    """Fill an empty database in autocommit mode with `n` datasets read under OWN; the run's id."""
    conn.executescript(SCHEMA.read_text(encoding="utf-8"))
    run = fill(conn, n)
    ensure_views(conn, loads(json.dumps(OWN)))
    results = [row[0] for row in conn.execute("SELECT result_id FROM in_force WHERE stage = 'extract' ORDER BY 1")]
    conn.execute("DELETE FROM field_value")
    for i, result in enumerate(results):
        values = {
            "mood": ["very-calm", "angry"][i % 2],
            "size": ["wide", "narrow"][i % 2],
            "subject_domain": ["sea", "land"][i % 2],
            "uses": [["play"], ["play", "work"], []][i % 3],
            "places": ["the far-north"],
            "noisy": i % 4 == 0,
        }
        Database(conn).fields(result, values, "in the card")
    return run
