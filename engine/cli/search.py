"""`hfmap search` (full text) and `hfmap related` (nearest cards in embedding space)."""

from __future__ import annotations

import shlex
import sqlite3
from typing import Any

import click

from engine.cli._options import db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._rows import write_rows
from engine.cli.show import find
from engine.errors import HfmapError, UsageError

# Weights of bm25 for id, pretty name, summary and card: a hit in a name says more than one in a long text.
_SEARCH = """
SELECT d.repo_id, d.likes, d.on_map, coalesce(c.summary, d.pretty_name) AS summary,
    snippet(card_fts, -1, '[', ']', '…', 12) AS hit
FROM card_fts JOIN card c ON c.dataset_id = card_fts.rowid JOIN dataset d ON d.dataset_id = c.dataset_id
WHERE card_fts MATCH ? ORDER BY bm25(card_fts, 10, 8, 4, 1), d.rank IS NULL, d.rank LIMIT ?
"""
_VECTORS = """
SELECT d.repo_id, d.likes, d.on_map, c.summary, d.dataset_id, e.vector, e.dimensions
FROM in_force i JOIN embedding e ON e.result_id = i.result_id
JOIN dataset d ON d.dataset_id = i.dataset_id JOIN card c ON c.dataset_id = d.dataset_id
WHERE i.stage = 'embed' ORDER BY d.rank IS NULL, d.rank
"""

_limit = click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many at most.")


@click.command()
@click.argument("text", nargs=-1, required=True)
@db_option
@_limit
@click.option("--semantic", is_flag=True, help="Look for the meaning, not the words.")
@json_option
def search(text: tuple[str, ...], db: str | None, limit: int, semantic: bool, as_json: bool) -> None:
    """Look for words in ids, names, summaries and cards.

    All words must occur; "two words" in quotes are a phrase, and word* finds what begins with it. With --semantic the
    datasets come whose cards mean something near; this needs no network where the local embedder made the map.
    """
    output = Output("json" if as_json else "human")
    if semantic:
        with reading(db) as conn:
            rows = alike(conn, " ".join(text), limit)
        _write(output, ("repo_id", "likes", "on_map", "summary", "similarity"), rows)
    else:
        with reading(db) as conn:
            rows = [tuple(row) for row in conn.execute(_SEARCH, (full_text_query(" ".join(text)), limit))]
        _write(output, ("repo_id", "likes", "on_map", "summary", "hit"), rows)
    if not rows:
        output.say("Nothing found.")


def full_text_query(text: str) -> str:
    """`text` as a query that FTS5 always understands: every word quoted, joined by AND.

    Raises:
        UsageError: there is no word in it.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    quoted = []
    for word in words:
        stem = word.rstrip("*").replace("\0", " ")
        if any(char.isalnum() for char in stem):
            quoted.append('"' + stem.replace('"', '""') + '"' + ("*" if word.endswith("*") else ""))
    if not quoted:
        raise UsageError("There is no word to look for.", hint="hfmap search speech recognition")
    return " ".join(quoted)


@click.command()
@click.argument("dataset_id", metavar="ID")
@db_option
@_limit
@json_option
def related(dataset_id: str, db: str | None, limit: int, as_json: bool) -> None:
    """Show the datasets with the nearest cards.

    Nearness is the cosine of two cards' embeddings, not their distance on the map.
    """
    output = Output("json" if as_json else "human")
    with reading(db) as conn:
        row_id, repo_id = find(conn, dataset_id)
        rows = nearest(conn, row_id, repo_id, limit)
    _write(output, ("repo_id", "likes", "on_map", "summary", "similarity"), rows)


def nearest(conn: sqlite3.Connection, dataset_id: int, repo_id: str, limit: int) -> list[tuple[Any, ...]]:
    """The nearest datasets, nearest first: (repo_id, likes, on_map, summary, cosine).

    Raises:
        HfmapError: the dataset has no embedding, or one of zeros.
    """
    import numpy as np

    rows = conn.execute(_VECTORS).fetchall()
    own = next((row for row in rows if row["dataset_id"] == dataset_id), None)
    if own is None:
        raise HfmapError(
            f"{repo_id} has no embedding: its card is not on the map, or not embedded yet.",
            hint="See why: hfmap show " + repo_id,
        )
    vector = np.frombuffer(own["vector"], dtype="<f4")
    if not vector.any():
        raise HfmapError(f"Nothing is near {repo_id}: its embedder knows no word of its card.")
    return _by_cosine([row for row in rows if row is not own], vector, limit)


def alike(conn: sqlite3.Connection, text: str, limit: int) -> list[tuple[Any, ...]]:
    """The datasets whose cards are nearest to a text, as `nearest` gives them.

    Raises:
        UsageError: the map's embeddings were not made on this machine, so the text cannot be compared with them here;
            or no word of the text means anything to the embedder.
    """
    from engine.providers.static import MODEL, StaticEmbedder

    made = conn.execute("SELECT DISTINCT model FROM in_force WHERE stage = 'embed'").fetchall()
    if [row["model"] for row in made] not in ([], [MODEL]):
        raise UsageError(
            f"The cards were embedded with {made[0]['model']}, which this command does not call.",
            hint="Search for words (without --semantic), or embed the cards here too: hfmap sync --embedder local",
        )
    vector = StaticEmbedder().encode([text])[0]
    if not vector.any():
        raise UsageError(
            "There is no word to look for that the local embedder knows.",
            hint='hfmap search --semantic "people reading aloud"',
        )
    return _by_cosine(conn.execute(_VECTORS).fetchall(), vector, limit)


def _by_cosine(rows: list[Any], vector: Any, limit: int) -> list[tuple[Any, ...]]:
    import numpy as np

    rows = [row for row in rows if row["dimensions"] == len(vector)]
    if not rows:
        return []
    matrix = np.frombuffer(b"".join(row["vector"] for row in rows), dtype="<f4").reshape(len(rows), -1)
    norms = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
    # A vector of zeros (an empty card) is like nothing.
    cosine = np.divide(matrix @ vector, norms, out=np.zeros(len(rows), np.float32), where=norms > 0)
    order = np.argsort(-cosine, kind="stable")[:limit]
    return [(*tuple(rows[i])[:4], round(float(cosine[i]), 4)) for i in order]


def _write(output: Output, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    write_rows(output, columns, rows, "json" if output.mode == "json" else "table")
