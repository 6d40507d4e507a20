"""What a run shows while it goes: the events of engine.events, as a moving table, as lines, or as JSON."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from engine.cli._output import Output
from engine.cli._tally import NAMES, StageTally, Tally
from engine.cli._text import dollars, duration, json_text, plain
from engine.events import Event, Notice

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

MOST_LISTED = 20
"""Failed items that are named at the end; the database has them all."""

REFRESH_HZ = 8
_BAR = 20


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


class LiveTable:
    """The moving table of a run on a terminal: one row a stage, and a line with what waits and what was spent."""

    def __init__(self, tally: Tally, console: Console) -> None:
        from rich.live import Live

        self._tally = tally
        # stdout carries data and is left alone; what others print to stderr appears above the table.
        self._live = Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=REFRESH_HZ,
            redirect_stdout=False,
            redirect_stderr=True,
        )

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def stop(self) -> None:
        """Draw once more and let go of the terminal."""
        self._live.stop()

    def render(self) -> RenderableType:
        """The table as it stands."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        table = Table(box=None, pad_edge=False, show_header=True, header_style="dim", expand=False)
        for head in ("", "", "done", "rate", "left"):
            table.add_column(head, justify="right" if head else "left", no_wrap=True)
        table.add_column("", no_wrap=True, overflow="ellipsis")
        for name, stage in self._tally.stages.items():
            if stage.started is not None or stage.total:
                table.add_row(*(Text(cell) for cell in _row(NAMES[name], stage, now)))
        words = [duration(self._tally.seconds)]
        if self._tally.waiting:
            words.append(f"{self._tally.waiting} requests wait for a rate limit")
        if self._tally.usd:
            words.append(f"{dollars(self._tally.usd)} spent")
        return Group(table, Text(" · ".join(words), style="dim"))


def _row(name: str, stage: StageTally, now: float) -> tuple[str, str, str, str, str, str]:
    if stage.is_pass:
        took = duration(stage.seconds(now))
        return (
            name,
            _bar(1.0 if stage.complete else 0.0),
            took,
            "",
            "",
            stage.note or "",
        )
    rate = stage.rate(now)
    count = f"{stage.over:,}/{stage.total:,}{'' if stage.closed else '+'}"
    rest = stage.total - stage.over
    left = duration(rest / rate) if rate and rest and not stage.complete else ""
    notes = [f"{stage.skipped:,} unchanged"] if stage.skipped else []
    if stage.retries:
        notes.append(f"{stage.retries:,} {'retry' if stage.retries == 1 else 'retries'}")
    if stage.failed:
        notes.append(f"{stage.failed:,} failed")
    if stage.note:
        notes.append(stage.note)
    share = stage.over / stage.total if stage.total else float(stage.closed)
    return name, _bar(share), count, f"{rate:,.1f}/s" if rate else "", left, ", ".join(notes)


def _bar(share: float) -> str:
    full = min(_BAR, int(share * _BAR))
    return "━" * full + "╌" * (_BAR - full)
