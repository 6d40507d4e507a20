"""One card on its way through the enrichment stages."""

from __future__ import annotations

from dataclasses import dataclass

from taxonomy.card import Card, CardInput

LONGEST_BODY = 20_000
"""Characters of a body that travel through the queues; no stage reads further. Bounds the memory of a full queue."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage needs to know of a card.

    `card.text` is the body, cut; `offset` is where it begins in the stored card, in characters.
    """

    dataset_id: int
    repo_id: str
    input_hash: str
    card: CardInput
    offset: int


def work_for(dataset_id: int, repo_id: str, input_hash: str, card: Card) -> Work:
    """Take from a card what the stages need."""
    body = card.body[:LONGEST_BODY]
    return Work(
        dataset_id,
        repo_id,
        input_hash,
        CardInput(text=body, title=card.title, tags=card.tags),
        card.body_offset,
    )
