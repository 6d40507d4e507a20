"""What happens during a run, as frozen facts.

Stages emit them; the progress display, the log, `--json`, the run ledger and the tests subscribe.
Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.usage import Usage

Stage = Literal["list", "card", "embed", "extract", "summarize", "layout", "topics", "page"]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run has its row in the database."""

    run_id: int
    command: str
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StageGrew:
    """`added` more items are known to be due at a stage."""

    stage: Stage
    added: int = 1


@dataclass(frozen=True, slots=True)
class StageClosed:
    """No more items will come to a stage."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class ItemDone:
    """One item of a stage is stored."""

    stage: Stage
    item: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class ItemSkipped:
    """One item of a stage needed nothing: its result is in the database."""

    stage: Stage
    item: str
    reason: str


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """One item of a stage could not be done; it is recorded."""

    stage: Stage
    item: str
    reason: str
    attempts: int
    permanent: bool


@dataclass(frozen=True, slots=True)
class CallRetried:
    """A call is tried again after `wait` seconds."""

    stage: Stage
    reason: str
    wait: float
    limited: bool


@dataclass(frozen=True, slots=True)
class WaitingChanged:
    """How many calls of a stage wait for a rate limit just now."""

    stage: Stage
    waiting: int


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A call to a paid service is over; it is in the ledger."""

    stage: Stage
    provider: str
    model: str
    items: int
    usage: Usage
    usd: float
    seconds: float
    retries: int
    outcome: str


@dataclass(frozen=True, slots=True)
class BatchChanged:
    """A batch of questions was taken by its service, has been worked off, or is gone (its questions are asked again)."""

    stage: Stage
    batch: str
    requests: int
    state: Literal["submitted", "ended", "lost"]


@dataclass(frozen=True, slots=True)
class PassStarted:
    """A synchronous pass (layout, topics, page) has begun."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class PassFinished:
    """A pass is over. `skipped`: its inputs had not changed."""

    stage: Stage
    seconds: float
    skipped: bool
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that a person should see."""

    text: str
    level: Literal["info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run's row is complete."""

    run_id: int
    outcome: str
    exit_code: int
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    usd: float = 0.0
    page: str | None = None


Event = (
    RunStarted
    | StageGrew
    | StageClosed
    | ItemDone
    | ItemSkipped
    | ItemFailed
    | CallRetried
    | WaitingChanged
    | CallFinished
    | BatchChanged
    | PassStarted
    | PassFinished
    | Notice
    | RunFinished
)

Subscriber = Callable[[Event], None]


class Bus:
    """Hands each event to every subscriber, in the order they subscribed, at once and in the same thread."""

    def __init__(self, *subscribers: Subscriber) -> None:
        self._subscribers: list[Subscriber] = list(subscribers)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber; it sees the events from now on."""
        self._subscribers.append(subscriber)

    def __call__(self, event: Event) -> None:
        """Hand out one event."""
        for subscriber in self._subscribers:
            subscriber(event)
