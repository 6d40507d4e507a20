"""What paid models cost: the vendors' list prices, US dollars per million tokens."""

from __future__ import annotations

from dataclasses import dataclass

from engine.usage import Usage

PRICES_AS_OF = "2026-11-01"
"""The day the table was last checked against the vendors' price pages."""


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


PRICES = {
    "claude-haiku-4-5-20251001": Price(1.00, 5.00, 1.25, 0.10, batch=0.5),
    "claude-haiku-4-5": Price(1.00, 5.00, 1.25, 0.10, batch=0.5),
    "claude-haiku-5-5": Price(0.10, 0.50, 0.125, 0.01, batch=0.5),
    "claude-sonnet-5": Price(2.00, 10.00, 2.50, 0.20, batch=0.5),
    "claude-sonnet-5-5": Price(2.00, 10.00, 2.50, 0.20, batch=0.5),
    "embed-v4.0": Price(0.12),
}

DEAREST = Price(10.00, 50.00, 12.50, 1.00)
"""Taken for a model that is not in the table, so that a budget errs on the safe side."""


def price_of(model: str, *, paid: bool = True) -> Price:
    """Return a model's price; nothing for local ones, the dearest known for unknown ones."""
    if not paid:
        return Price(0.0)
    return PRICES.get(model, DEAREST)
