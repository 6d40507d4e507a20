"""What only the detail drawer shows, in chunks that lie beside the page.

A chunk is a script: a page opened from the disk may load scripts that lie beside it, but may not fetch. Each
calls `hfmap.details(number, rows)` with one entry per dataset, in the order of the frame.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from engine.store.views import taxonomy_in_force
from render.escape import lines, plain, script_json
from render.page.axes import heading, told
from render.page.frame import Frame, label
from taxonomy.cardtext import split_front_matter
from taxonomy.model import Field

CHUNK = 200
"""Datasets in a chunk: about 400 kB, a quarter of it when served compressed."""
CARD_CHARACTERS = 900
NEIGHBORS = 10
# claude-haiku-4-5-20251001: family, version, day.
_CLAUDE = re.compile(r"claude-([a-z]+)-(\d+)(?:-(\d{1,2}))?(?:-\d{8})?")


def chunks(conn: sqlite3.Connection, frame: Frame) -> Iterator[str]:
    """The text of each chunk, in order."""
    row_of = {dataset_id: row for row, dataset_id in enumerate(frame.dataset_ids)}
    fields = told(taxonomy_in_force(conn))
    for number, start in enumerate(range(0, len(frame), CHUNK)):
        wanted = frame.dataset_ids[start : start + CHUNK]
        rows = {dataset_id: {"fields": [], "near": [], "card": ""} for dataset_id in wanted}
        _cards(conn, rows)
        _claims(conn, rows, fields)
        _neighbors(conn, rows, row_of)
        yield f"hfmap.details({number},{script_json(list(rows.values()))});\n"


def digest(conn: sqlite3.Connection) -> str:
    """SHA-256, in hex, of everything that the chunks are made from. Much cheaper than making them."""
    state = hashlib.sha256(taxonomy_in_force(conn).digest.encode())
    for sql in (
        "SELECT d.dataset_id, c.input_hash, i.provider, i.model, v.field, v.value, v.quote, v.verified"
        " FROM dataset d LEFT JOIN card c ON c.dataset_id = d.dataset_id"
        " LEFT JOIN in_force i ON i.dataset_id = d.dataset_id AND i.stage = 'extract'"
        " LEFT JOIN field_value v ON v.result_id = i.result_id WHERE d.on_map = 1 ORDER BY d.dataset_id, v.field",
        "SELECT dataset_id, field, value, author FROM override ORDER BY dataset_id, field",
        "SELECT n.dataset_id, n.neighbor_id, n.distance FROM neighbor n ORDER BY n.dataset_id, n.place",
    ):
        for row in conn.execute(sql):
            state.update(repr(row).encode())
    return state.hexdigest()


def _query(conn: sqlite3.Connection, sql: str, rows: dict[int, dict[str, Any]]) -> sqlite3.Cursor:
    return conn.execute(sql.replace(":ids", "(SELECT value FROM json_each(?))"), (json.dumps(list(rows)),))


def _cards(conn: sqlite3.Connection, rows: dict[int, dict[str, Any]]) -> None:
    # Front matter of real cards ends within the first 20,000 characters; the rest of a card is not read.
    sql = "SELECT dataset_id, substr(text, 1, 20000) FROM card WHERE dataset_id IN :ids"
    for dataset_id, text in _query(conn, sql, rows):
        _, body = split_front_matter(text)
        rows[dataset_id]["card"] = lines(body, CARD_CHARACTERS)


def _claims(conn: sqlite3.Connection, rows: dict[int, dict[str, Any]], fields: list[Field]) -> None:
    # Values in the card's own words, not slugs.
    free = {field.name for field in fields if field.kind == "open"}
    sql = (
        "SELECT i.dataset_id, v.field, v.value, v.quote, v.verified, i.provider, i.model"
        " FROM in_force i JOIN field_value v ON v.result_id = i.result_id"
        " WHERE i.stage = 'extract' AND i.dataset_id IN :ids"
    )
    found: dict[tuple[int, str], list[str]] = {}
    for dataset_id, field, value, quote, verified, provider, model in _query(conn, sql, rows):
        text = plain(quote, 300)
        told = bool(text) and text.lower() not in ("not_stated", "not stated")
        state = "none" if not told else "verified" if verified else "unverified"
        found[dataset_id, field] = [
            shown(value, free=field in free),
            text if told else "",
            state,
            made_by(provider, model),
        ]
    sql = "SELECT dataset_id, field, value, author FROM override WHERE field <> 'summary' AND dataset_id IN :ids"
    for dataset_id, field, value, author in _query(conn, sql, rows):
        found[dataset_id, field] = [shown(value, free=field in free), "", "person", plain(author, 60)]
    for dataset_id, row in rows.items():
        claims = [(heading(field), found.get((dataset_id, field.name))) for field in fields]
        row["fields"] = [[name, *claim] for name, claim in claims if claim]


def made_by(provider: str, model: str) -> str:
    """Who read a card: "by rules", "by Claude Haiku 4.5", or by a model under its own name."""
    if provider == "local":
        return "by rules"
    claude = _CLAUDE.fullmatch(model)
    if claude:
        family, major, minor = claude.groups()
        return f"by Claude {family.capitalize()} {major}{f'.{minor}' if minor else ''}"
    return f"by {plain(model, 60)}"


@functools.lru_cache(maxsize=4096)  # most cards say the same of most fields
def shown(value: str | None, *, free: bool) -> str:
    """A field's value, given as JSON, in words; `free`: it may hold other words than the taxonomy's."""
    parsed = json.loads(value) if value else None
    if isinstance(parsed, bool):
        return "Yes" if parsed else "No"
    items = parsed if isinstance(parsed, list) else [parsed]
    slug = ("not_stated", "not_applicable", "global")
    words = [plain(item, 80) if free and item not in slug else label(item, slug=True) for item in items]
    return ", ".join(word for word in words if word) or "None"


def _neighbors(conn: sqlite3.Connection, rows: dict[int, dict[str, Any]], row_of: dict[int, int]) -> None:
    sql = "SELECT dataset_id, neighbor_id, distance FROM neighbor WHERE dataset_id IN :ids ORDER BY dataset_id, place"
    for dataset_id, neighbor_id, distance in _query(conn, sql, rows):
        near = rows[dataset_id]["near"]
        if neighbor_id in row_of and len(near) < NEIGHBORS:
            near.append([row_of[neighbor_id], round(distance, 4)])
