"""Price tokens: what models cost by their vendors' list prices, and what else of them an estimate needs."""

from __future__ import annotations

from dataclasses import dataclass

from engine.usage import Usage

PRICES_AS_OF = "2026-11-01"
"""The day the prices were last checked against the vendors' price pages."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens. `batch` is the share paid in a batch."""

    input: float
    output: float = 0.0
    cache_write: float = 0.0
    cache_read: float = 0.0
    batch: float = 1.0

    def usd(self, usage: Usage, *, batched: bool = False) -> float:
        """Return what these tokens cost in US dollars."""
        dollars = (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_write * self.cache_write
            + usage.cache_read * self.cache_read
        ) / 1_000_000
        return dollars * self.batch if batched else dollars


DEAREST = Price(10.00, 50.00, 12.50, 1.00)
"""Taken for a model without a price, so that a budget errs on the safe side."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model.

    `cache_minimum` is how many tokens a system prompt must have to be cached; `thinks`, whether it thinks before it
    answers unless told not to.
    """

    price: Price
    cache_minimum: int = 4096
    """The highest that any model has."""
    thinks: bool = False


UNKNOWN = ModelFacts(DEAREST, thinks=True)
"""What is assumed of a model that is not in the table: the worst."""
