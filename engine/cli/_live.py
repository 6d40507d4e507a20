"""The moving table of a run on a terminal, drawn eight times a second from the tally."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.cli._tally import NAMES, StageTally, Tally
from engine.cli._text import dollars, duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

REFRESH_HZ = 8
_BAR = 20


class LiveTable:
    """One row a stage, and a line with what waits and what was spent."""

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
