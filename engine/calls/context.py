"""Share what all parts of one run work with: its number, row numbers, writer, events, counts, and whether to stop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import anyio

from engine.events import Bus
from engine.store.runs import Ids
from engine.store.writer import Writer


@dataclass(frozen=True, slots=True)
class RunContext:
    """What the listing, the cards, the enrichment stages and the calls of one run share."""

    run_id: int
    ids: Ids
    writer: Writer
    bus: Bus
    counts: Counter[str] = field(default_factory=Counter)
    """What the run's row in the ledger will say, by name."""
    stopping: anyio.Event = field(default_factory=anyio.Event)
    """Set when the run is to end: what is in flight is finished, what waits is left for the next run."""
