"""Estimate the tokens of calls: counted where the text is at hand, else as earlier calls took, else typical ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

from engine.providers import facts_of
from engine.queries.due import tokens_spent
from engine.usage import Usage


@dataclass(frozen=True, slots=True)
class Typical:
    """Tokens of one item: the part of the prompt that differs from item to item, and the answer."""

    input: int
    output: int


TYPICAL = {
    "embed": Typical(970, 0),
    "extract": Typical(1340, 400),
    "summarize": Typical(990, 50),
    "topics": Typical(2700, 50),
}
"""Taken while the ledger knows too little.

Input: means over 424 real cards, counted by `tokens` and cut as each stage cuts them, and over the 31 naming prompts
for their map. Output: eight fields of about 50 tokens (name, slug, a quote of up to 25 words), a sentence of at most
25 words, a name in JSON.
"""

THINKING = 500
"""Tokens that a model which thinks before it answers is taken to add, until the ledger knows. A guess, rather high."""

ENOUGH = 20
"""Items that the ledger must hold before its means are trusted."""


@dataclass(frozen=True, slots=True)
class MeanTokens:
    """Tokens of one item, calls that were repeated or failed included."""

    input: float
    output: float
    cache_write: float
    cache_read: float

    def of(self, items: int) -> Usage:
        """Return the tokens of so many items."""
        parts = (self.input, self.output, self.cache_write, self.cache_read)
        return Usage(*(round(part * items) for part in parts))


Means = Mapping[tuple[str, str], MeanTokens]
"""By stage and model."""


def mean_tokens(conn: sqlite3.Connection) -> Means:
    """Read from the ledger what items have taken so far, for each stage and model with enough of them."""
    return {
        (spent.stage, spent.model): MeanTokens(*(total / spent.items for total in astuple(spent.usage)))
        for spent in tokens_spent(conn)
        if spent.items >= ENOUGH
    }


def tokens(text: str) -> int:
    """Estimate the tokens of a text: a quarter of its ASCII characters, as in English, and one for each other."""
    plain = len(text.encode("ascii", "ignore"))
    return plain // 4 + len(text) - plain


@dataclass(frozen=True, slots=True)
class CallKind:
    """One kind of call: whose, with which system prompt, and whether the model thinks before it answers."""

    stage: str
    model: str
    system: int = 0
    """Tokens of the system prompt that all calls share."""
    thinks: bool = False

    def answer(self, means: Means) -> float:
        """Return the tokens of one answer."""
        known = means.get((self.stage, self.model))
        return known.output if known else TYPICAL[self.stage].output + THINKING * self.thinks

    def usage(self, inputs: Sequence[int], means: Means) -> Usage:
        """Return the tokens of items whose own parts of the prompt have these sizes.

        A system prompt that is long enough is written to the cache once and read from it by all calls after.
        """
        if not inputs:
            return Usage()
        output = round(self.answer(means) * len(inputs))
        if self.system >= facts_of(self.model).cache_minimum:
            return Usage(sum(inputs), output, self.system, self.system * (len(inputs) - 1))
        return Usage(sum(inputs) + self.system * len(inputs), output)

    def unread(self, items: int, means: Means, *, after: int) -> Usage:
        """Return the tokens of items whose texts are not known; `after` others came before them."""
        known = means.get((self.stage, self.model))
        if known:
            return known.of(items)
        usage = self.usage([TYPICAL[self.stage].input] * items, means)
        if items and after and usage.cache_write:
            return Usage(usage.input, usage.output, 0, usage.cache_read + usage.cache_write)
        return usage
