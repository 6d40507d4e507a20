"""Details of datasets for the page's drawer, in chunks that lie beside the page.

A chunk is a script: a page opened from the disk may load scripts that lie beside it, but may not fetch. Each
calls `hfmap.details(number, rows)` with one entry per dataset, in the order of the frame.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from engine.queries.map import Claim, ClaimRow, card_beginnings, card_hashes, map_claims, map_neighbors
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


@dataclass(frozen=True, slots=True)
class Details:
    """Claims and neighbours of the datasets of a frame; what the drawer shows but for the cards.

    near: by dataset_id, its neighbours as (row of the frame, distance). digest: SHA-256, in hex, of everything here and
    of the cards' hashes; it does not depend on the order in which cards were read.
    """

    ids: list[int]
    fields: list[Field]
    claims: Mapping[int, list[ClaimRow]]
    near: Mapping[int, list[tuple[int, float]]]
    digest: str


def read(conn: sqlite3.Connection, frame: Frame) -> Details:
    """Read what the drawer shows, each table once."""
    row_of = {dataset_id: row for row, dataset_id in enumerate(frame.dataset_ids)}
    taxonomy = taxonomy_in_force(conn)
    state = hashlib.sha256(taxonomy.digest.encode())
    for card in card_hashes(conn):
        state.update(repr(card).encode())
    claims: dict[int, list[ClaimRow]] = {}
    for dataset_id, found in groupby(map_claims(conn), itemgetter(0)):
        if dataset_id in row_of:
            claims[dataset_id] = list(found)
            state.update(repr(claims[dataset_id]).encode())
    near: dict[int, list[tuple[int, float]]] = {}
    for dataset_id, listed in groupby(map_neighbors(conn), itemgetter(0)):
        rows = [(row_of[neighbor], round(distance, 4)) for _, neighbor, distance in listed if neighbor in row_of]
        near[dataset_id] = rows[:NEIGHBORS]
    state.update(repr(near).encode())
    return Details(frame.dataset_ids, told(taxonomy), claims, near, state.hexdigest())


def chunks(conn: sqlite3.Connection, details: Details) -> Iterator[str]:
    """Yield the text of each chunk, in order; the cards are read here, as far as they are shown."""
    for number, start in enumerate(range(0, len(details.ids), CHUNK)):
        wanted = details.ids[start : start + CHUNK]
        # Front matter of real cards ends within the first 20,000 characters; the rest of a card is not read.
        cards = {i: split_front_matter(text)[1] for i, text in card_beginnings(conn, wanted, 20_000)}
        rows = [
            {
                "fields": _shown_claims(details.claims.get(i, []), details.fields),
                "near": details.near.get(i, []),
                "card": lines(cards.get(i, ""), CARD_CHARACTERS),
            }
            for i in wanted
        ]
        yield f"hfmap.details({number},{script_json(rows)});\n"


def _shown_claims(rows: list[ClaimRow], fields: list[Field]) -> list[list[str]]:
    """Heading, value, quote, what proves it, and who says so, of each field that something is claimed of."""
    by_field = {claim.field: claim for claim in map(Claim._make, rows)}
    found = []
    for field in fields:
        claim = by_field.get(field.name)
        if claim is None:
            continue
        # Values of an open field are in the card's own words, not slugs.
        value = shown(claim.value, free=field.kind == "open")
        if claim.origin == "person":
            found.append([heading(field), value, "", "person", plain(claim.model, 60)])
            continue
        quote = plain(claim.quote, 300)
        if quote.lower() in ("", "not_stated", "not stated"):
            quote, state = "", "none"
        else:
            state = "verified" if claim.verified else "unverified"
        found.append([heading(field), value, quote, state, made_by(claim.origin, claim.model or "")])
    return found


@functools.lru_cache(maxsize=256)
def made_by(provider: str, model: str) -> str:
    """Say who read a card: "by rules", "by Claude Haiku 4.5", or by a model under its own name."""
    if provider == "local":
        return "by rules"
    claude = _CLAUDE.fullmatch(model)
    if claude:
        family, major, minor = claude.groups()
        return f"by Claude {family.capitalize()} {major}{f'.{minor}' if minor else ''}"
    return f"by {plain(model, 60)}"


@functools.lru_cache(maxsize=4096)  # most cards say the same of most fields
def shown(value: str | None, *, free: bool) -> str:
    """Put a field's value, given as JSON, into words; `free`: it may hold other words than the taxonomy's."""
    parsed = json.loads(value) if value else None
    if isinstance(parsed, bool):
        return "Yes" if parsed else "No"
    items = parsed if isinstance(parsed, list) else [parsed]
    slug = ("not_stated", "not_applicable", "global")
    words = [plain(item, 80) if free and item not in slug else label(item, slug=True) for item in items]
    return ", ".join(word for word in words if word) or "None"
