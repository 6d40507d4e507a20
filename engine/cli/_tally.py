"""What a run has done so far, in numbers: counted from events, read by the display."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from engine.cli._text import duration, plain
from engine.events import (
    BatchChanged,
    CallFinished,
    CallRetried,
    Event,
    ItemDone,
    ItemFailed,
    ItemSkipped,
    PassFinished,
    PassStarted,
    RunFinished,
    Stage,
    StageClosed,
    StageGrew,
    WaitingChanged,
)

NAMES: dict[Stage, str] = {
    "list": "listing",
    "card": "cards",
    "embed": "embeddings",
    "extract": "fields",
    "summarize": "summaries",
    "layout": "layout",
    "topics": "topics",
    "page": "page",
}
RATE_WINDOW = 10.0
"""Seconds over which a rate is measured."""
FAILURES_KEPT = 100
_STEPS = (100, 200, 500)


@dataclass(slots=True)
class StageTally:
    """The numbers of one stage. `done` counts stored items, `skipped` those that needed nothing."""

    total: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    retries: int = 0
    limited: int = 0
    waiting: int = 0
    closed: bool = False
    started: float | None = None
    ended: float | None = None
    batched: int = 0
    is_pass: bool = False
    note: str | None = None
    announce: int = _STEPS[0]
    samples: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def over(self) -> int:
        """Items that need no more work."""
        return self.done + self.skipped + self.failed

    @property
    def complete(self) -> bool:
        """Whether nothing is left and nothing more will come."""
        return self.ended is not None

    def seconds(self, now: float) -> float:
        """How long the stage has run, or ran."""
        return 0.0 if self.started is None else (self.ended or now) - self.started

    def rate(self, now: float) -> float | None:
        """Items a second over the last RATE_WINDOW seconds; skipped ones do not count as work."""
        worked = self.done + self.failed
        if self.complete:
            seconds = self.seconds(now)
            return worked / seconds if seconds > 0.1 and worked else None
        self.samples.append((now, worked))
        while len(self.samples) > 2 and now - self.samples[0][0] > RATE_WINDOW:
            self.samples.popleft()
        then, before = self.samples[0]
        return (worked - before) / (now - then) if now - then >= 1.0 else None


class Tally:
    """Counts events. `count` is called thousands of times a second and only adds."""

    def __init__(self) -> None:
        self.stages: dict[Stage, StageTally] = {stage: StageTally() for stage in NAMES}
        self.usd = 0.0
        self.failures: list[ItemFailed] = []
        self.finished: RunFinished | None = None
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._began

    @property
    def waiting(self) -> int:
        """Calls that wait for a rate limit just now."""
        return sum(stage.waiting for stage in self.stages.values())

    def count(self, event: Event) -> str | None:  # noqa: PLR0911 - one a kind of event
        """Count an event; return a line where it changes the state of a stage, else None."""
        match event:
            case ItemDone(stage=name):
                self.stages[name].done += 1
            case ItemSkipped(stage=name):
                self.stages[name].skipped += 1
            case ItemFailed(stage=name):
                self.stages[name].failed += 1
                if len(self.failures) < FAILURES_KEPT:
                    self.failures.append(event)
            case StageGrew(stage=name, added=added):
                self.stages[name].total += added
            case StageClosed(stage=name):
                self.stages[name].closed = True
            case CallRetried(stage=name, reason=reason, wait=wait, limited=limited):
                return self._retried(name, reason, wait, limited)
            case WaitingChanged(stage=name, waiting=waiting):
                self.stages[name].waiting = waiting
                return None
            case CallFinished(usd=usd):
                self.usd += usd
                return None
            case BatchChanged():
                return self._batch(event)
            case PassStarted(stage=name):
                stage = self.stages[name]
                stage.is_pass, stage.started, stage.ended = True, time.monotonic(), None
                return f"{NAMES[name]}: started"
            case PassFinished(stage=name):
                return self._pass_over(event)
            case RunFinished():
                self.finished = event
                return None
            case _:
                return None
        return self._moved(name)

    def _moved(self, name: Stage) -> str | None:
        stage = self.stages[name]
        if stage.started is None:
            stage.started = time.monotonic()
            # An empty stage is over as it begins.
            if not stage.closed:
                return f"{NAMES[name]}: started"
        if stage.closed and stage.over >= stage.total and stage.ended is None:
            stage.ended = time.monotonic()
            return self._line(name)
        if stage.over >= stage.announce:
            while stage.over >= stage.announce:
                stage.announce = _next_step(stage.announce)
            return self._line(name)
        return None

    def _line(self, name: Stage) -> str:
        stage = self.stages[name]
        of = f" of {stage.total:,}" if stage.closed else ""
        parts = [f"{stage.over:,}{of}"]
        if stage.skipped:
            parts.append(f"{stage.skipped:,} unchanged")
        if stage.failed:
            parts.append(f"{stage.failed:,} failed")
        if stage.retries:
            parts.append(f"{stage.retries:,} {'retry' if stage.retries == 1 else 'retries'}")
        took = f" in {duration(stage.seconds(time.monotonic()))}" if stage.ended else ""
        return f"{NAMES[name]}: {', '.join(parts)}{took}"

    def _retried(self, name: Stage, reason: str, wait: float, limited: bool) -> str | None:
        stage = self.stages[name]
        stage.retries += 1
        stage.limited += limited
        # Said once a stage and kind; the count stands in the stage's lines.
        if limited and stage.limited == 1:
            return f"{NAMES[name]}: the service asks to slow down; waiting {wait:.1f} s"
        if not limited and stage.retries - stage.limited == 1:
            return f"{NAMES[name]}: trying again in {wait:.1f} s ({plain(reason)})"
        return None

    def _batch(self, event: BatchChanged) -> str:
        stage = self.stages[event.stage]
        stage.batched += event.requests if event.state == "submitted" else -event.requests
        stage.note = f"{stage.batched:,} in batches" if stage.batched > 0 else None
        what = {
            "submitted": "sent; answered within minutes or hours, also while hfmap does not run",
            "ended": "taken",
            "lost": "no longer known to the service; its questions are asked one by one",
        }[event.state]
        return f"{NAMES[event.stage]}: batch of {event.requests:,} {what}"

    def _pass_over(self, event: PassFinished) -> str:
        stage = self.stages[event.stage]
        stage.is_pass, stage.closed = True, True
        stage.ended = time.monotonic()
        stage.started = stage.ended - event.seconds
        stage.note = "unchanged" if event.skipped else event.detail
        state = "unchanged" if event.skipped else f"done in {duration(event.seconds)}"
        return f"{NAMES[event.stage]}: {state}" + (f", {event.detail}" if event.detail and not event.skipped else "")


def _next_step(announced: int) -> int:
    """100, 200, 500, 1,000, 2,000 …: a long stage says a dozen lines, not thousands."""
    scale = 1
    while True:
        for step in _STEPS:
            if step * scale > announced:
                return step * scale
        scale *= 10
