"""Search datasets: by words (full text), by meaning, and by the nearest cards in embedding space."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import HfmapError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A dataset in which words occur; `hit` is a place where they do, each between square brackets."""

    repo_id: str
    likes: int | None
    on_map: bool
    summary: str | None
    hit: str


@dataclass(frozen=True, slots=True)
class VectorMatch:
    """A dataset whose card is near; `similarity` is the cosine of the embeddings, from -1 to 1."""

    repo_id: str
    likes: int | None
    on_map: bool
    summary: str | None
    similarity: float


def search(conn: sqlite3.Connection, text: str, limit: int = 10) -> list[TextMatch]:
    """Search ids, names, summaries and cards for words, best match first.

    All words must occur; "two words" in quotes are a phrase, and word* finds what begins with it.

    Raises:
        UsageError: there is no word in the text.
    """
    found = conn.execute(_SEARCH, (full_text_query(text), limit))
    return [TextMatch(repo_id, likes, bool(on_map), summary, hit) for repo_id, likes, on_map, summary, hit in found]


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


def alike(conn: sqlite3.Connection, text: str, limit: int = 10) -> list[VectorMatch]:
    """Search for the datasets whose cards mean something near to a text, nearest first. It needs no network.

    Raises:
        UsageError: the map's embeddings were not made on this machine, so the text cannot be compared with them here;
            or no word of the text means anything to the embedder.
    """
    from engine.providers.static import MODEL, StaticEmbedder

    made = [row[0] for row in conn.execute("SELECT DISTINCT model FROM in_force WHERE stage = 'embed'")]
    if made not in ([], [MODEL]):
        raise UsageError(
            f"The cards were embedded with {made[0]}, which this command does not call.",
            hint="Search for words (without --semantic), or embed the cards here too: hfmap sync --embedder local",
        )
    vector = StaticEmbedder().encode([text])[0]
    if not vector.any():
        raise UsageError(
            "There is no word to look for that the local embedder knows.",
            hint='hfmap search --semantic "people reading aloud"',
        )
    return _by_cosine(_embedded(conn), vector, limit)


def related(conn: sqlite3.Connection, wanted: str, limit: int = 10) -> list[VectorMatch]:
    """Find the datasets with the cards nearest to one dataset's, nearest first; `wanted` is what `find_dataset` takes.

    Nearness is the cosine of two cards' embeddings, not their distance on the map.

    Raises:
        HfmapError: there is no such dataset, or it has no embedding, or one of zeros.
    """
    import numpy as np

    from engine.queries.datasets import find_dataset

    dataset_id, repo_id = find_dataset(conn, wanted)
    candidates = _embedded(conn)
    own = next((each for each in candidates if each.dataset_id == dataset_id), None)
    if own is None:
        raise HfmapError(
            f"{repo_id} has no embedding: its card is not on the map, or not embedded yet.",
            hint="See why: hfmap show " + repo_id,
        )
    vector = np.frombuffer(own.vector, dtype="<f4")
    if not vector.any():
        raise HfmapError(f"Nothing is near {repo_id}: its embedder knows no word of its card.")
    return _by_cosine([each for each in candidates if each is not own], vector, limit)


@dataclass(frozen=True, slots=True)
class _EmbeddedCard:
    repo_id: str
    likes: int | None
    on_map: int
    summary: str | None
    dataset_id: int
    vector: bytes
    dimensions: int


def _embedded(conn: sqlite3.Connection) -> list[_EmbeddedCard]:
    return [_EmbeddedCard(*row) for row in conn.execute(_VECTORS)]


def _by_cosine(cards: Sequence[_EmbeddedCard], vector: NDArray[np.float32], limit: int) -> list[VectorMatch]:
    import numpy as np

    cards = [card for card in cards if card.dimensions == len(vector)]
    if not cards:
        return []
    matrix = np.frombuffer(b"".join(card.vector for card in cards), dtype="<f4").reshape(len(cards), -1)
    norms = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
    # A vector of zeros (an empty card) is like nothing.
    cosine = np.divide(matrix @ vector, norms, out=np.zeros(len(cards), np.float32), where=norms > 0)
    matches = []
    for place in np.argsort(-cosine, kind="stable")[:limit]:
        card, similarity = cards[place], round(float(cosine[place]), 4)
        matches.append(VectorMatch(card.repo_id, card.likes, bool(card.on_map), card.summary, similarity))
    return matches
