"""What a run shows while it goes: the events of engine.events, as a moving table, as lines, or as JSON."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from engine.cli._live import LiveTable
from engine.cli._output import Output
from engine.cli._tally import NAMES, Tally
from engine.cli._text import dollars, duration, json_text, plain
from engine.events import Event, Notice

MOST_LISTED = 20
"""Failed items that are named at the end; the database has them all."""


class Progress:
    """A subscriber of the event bus; cheap to call, safe to call from any thread.

    Used as a context manager round the run. A terminal gets a table that moves, a pipe gets a line for each
    change of a stage's state, --json gets each event as one line, --quiet gets errors alone.
    """

    def __init__(self, output: Output) -> None:
        self.tally = Tally()
        self._output = output
        self._table = LiveTable(self.tally, output.console) if output.live else None
        # Reentrant: a signal handler may emit while the same thread is inside an event.
        self._lock = threading.RLock()

    def __enter__(self) -> Progress:
        if self._table:
            self._table.start()
            self._output.suspend = self._suspended
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._table:
            self._table.stop()

    @contextmanager
    def _suspended(self) -> Iterator[None]:
        assert self._table is not None  # noqa: S101 - only set where there is one
        self._table.stop()
        try:
            yield
        finally:
            self._table.start()

    def __call__(self, event: Event) -> None:
        """Count an event, and say what is to be said at once."""
        with self._lock:
            news = self.tally.count(event)
            if self._output.mode == "json":
                self._output.stream_line(self._output.redact(as_json(event)))
            elif isinstance(event, Notice):
                self._notice(event)
            elif news and self._table is None and self._output.mode == "human":
                self._output.say(news)

    def _notice(self, event: Notice) -> None:
        if event.level == "error":
            self._output.error(event.text)
        elif event.level == "warning":
            self._output.warn(event.text)
        else:
            self._output.say(event.text)

    def close_words(self) -> None:
        """After the run: what failed, what it cost, and, on stdout, the page's path."""
        output, end = self._output, self.tally.finished
        if self.tally.failures:
            total = sum(stage.failed for stage in self.tally.stages.values())
            output.error(f"{total:,} {'item' if total == 1 else 'items'} failed:")
            for failed in self.tally.failures[:MOST_LISTED]:
                again = "" if failed.permanent else " (will be tried again)"
                output.error_line(f"  {NAMES[failed.stage]}  {plain(failed.item)}: {plain(failed.reason)}{again}")
            if total > MOST_LISTED:
                more = f"  … and {total - MOST_LISTED:,} more; all that are in the database: "
                output.error_line(f"{more}hfmap sql 'select * from failure join dataset using (dataset_id)'")
        if end is not None and output.mode == "human":
            paid = f", {dollars(end.usd)} spent" if end.usd else ""
            output.say(f"{end.outcome} in {duration(self.tally.seconds)}{paid}")
        if output.final_page is not None and output.mode == "human":
            output.data(str(output.final_page))


_SHAPES: dict[type[Any], tuple[str, tuple[str, ...]]] = {}


def _shape(kind: type[Any]) -> tuple[str, tuple[str, ...]]:
    if kind not in _SHAPES:
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__).lstrip("_")
        _SHAPES[kind] = name, tuple(f.name for f in fields(kind))
    return _SHAPES[kind]


def as_json(event: Event) -> str:
    """An event as a line of JSON: its name in snake_case, the time (UTC), and its fields."""
    name, parts = _shape(type(event))
    values: dict[str, Any] = {"event": name, "at": datetime.now(UTC).isoformat(timespec="milliseconds")}
    for part in parts:
        value = getattr(event, part)
        if is_dataclass(value):
            value = {inner: getattr(value, inner) for inner in _shape(type(value))[1]}
        values[part] = value
    return json_text(values)
