"""The embedder that needs no key and no network."""

from __future__ import annotations

from engine.providers.static import StaticEmbedder, embedding_text
from taxonomy.rules import CardInput

_TASKS = ("task_categories:", "task_ids:")


def card_text(card: CardInput) -> str:
    """Return what of a card is embedded: its title, its tasks and its body without boilerplate."""
    tasks = [tag.partition(":")[2] for tag in card.tags if tag.startswith(_TASKS)]
    return embedding_text(card.title, tasks, card.text)


class LocalEmbedder(StaticEmbedder):
    """Embeds a card's title, tasks and stripped body with the table that ships with hfmap."""

    def text(self, card: CardInput) -> str:
        """Return what of a card is embedded."""
        return card_text(card)
