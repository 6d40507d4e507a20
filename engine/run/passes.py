"""The synchronous passes, one after the other: layout, topics, page."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from engine.config import Secrets, Settings
from engine.errors import HfmapError, StoppedError
from engine.events import Bus, Event, PassStarted, StageGrew
from engine.pipeline.model_namer import ModelNamer
from engine.providers import naming_model
from engine.run.clients import completer
from engine.store.connection import open_passes, open_readonly
from engine.store.layouts import read_newest_layout, refit_at
from engine.store.views import ensure_views, taxonomy_in_force

FEW = 100
"""So many new cards are taken for a large share of a map whose size is not known."""


class Preload:
    """Imports and compiles what the passes need while a sync still downloads, so that it costs no waiting.

    One changed card needs what places it and draws the page; so many that the map will be laid out again need the
    rest too. A run in which nothing changed imports nothing.
    """

    def __init__(self, db: Path | None = None, *, by_model: bool = False) -> None:
        left = FEW if db is None else _left_until_refit(db)
        self._steps = [(1, "refresh"), (left, "rebuild")]
        if by_model:
            self._steps.append((left, "model"))
        self._due = 0
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._prepare, daemon=True)

    def __call__(self, event: Event) -> None:
        """Count cards to embed, and stop at the first pass; a subscriber of the run's events."""
        if isinstance(event, StageGrew) and event.stage == "embed":
            before, self._due = self._due, self._due + event.added
            for cards, step in self._steps:
                if before < cards <= self._due:
                    self._queue.put(step)
            if before < 1 <= self._due:
                self._thread.start()
        elif isinstance(event, PassStarted) and self._thread.is_alive():
            # What it is at is needed now; and not every thread pool of numba's bears two threads that compute.
            with suppress(Empty):
                while True:
                    self._queue.get_nowait()
            self._queue.put(None)
            self._thread.join()

    def _prepare(self) -> None:
        from render import libraries
        from render.layout import projection
        from render.page import datamapplot

        steps: dict[str, Callable[[], object]] = {
            "refresh": datamapplot.load,
            "rebuild": projection.compile_ahead,
            "model": partial(libraries.heavy, "toponymy"),
        }
        while (step := self._queue.get()) is not None:
            # What fails here fails again where it is needed, and is reported there.
            with suppress(Exception):
                steps[step]()


def _left_until_refit(db: Path) -> int:
    """How many more changed datasets the newest layout bears before all is laid out anew; at least 1."""
    if not db.exists():
        return 1
    with suppress(HfmapError, sqlite3.Error), closing(open_readonly(db)) as conn:
        layout = read_newest_layout(conn)
        return 1 if layout is None else max(1, refit_at(layout.points) - layout.changed)
    return FEW


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the passes did: the page (None: Ctrl-C was pressed before it), what naming the topics cost in US dollars,
    for how many of them the model gave no answer, and what made asking pointless, if anything."""

    page: Path | None
    usd: float
    unanswered: int
    error: HfmapError | None


def run_passes(settings: Settings, secrets: Secrets, run_id: int, bus: Bus, spent: float) -> Drawn:
    """Lay out, name topics and draw the page; what has not changed is skipped.

    Args:
        spent: what the run has spent so far, in US dollars.

    Raises:
        HfmapError: a pass failed; the results of the ones before it are stored.
    """
    from engine.providers.static import StaticEmbedder
    from render.layout import layout
    from render.page import page
    from render.topics import topics

    model = naming_model(settings, secrets)
    namer = None
    if model is not None:
        connect = partial(completer, settings, secrets, model)
        namer = ModelNamer(model, connect, settings.db, run_id, bus, settings.budget, spent)
    with open_passes(settings.db) as conn:
        placed = layout.ensure(conn, run_id=run_id, emit=bus, relayout=settings.relayout)
        # Key phrases are embedded here even where cards are not: there are thousands, and nobody sees their vectors.
        named = topics.ensure(
            conn,
            run_id=run_id,
            layout_id=placed.layout_id,
            namer=namer,
            emit=bus,
            text_encoder=StaticEmbedder(),
            max_topics=settings.max_topics,
            ranked_by=settings.rank,
        )
        # As many topic columns as the new tree has layers.
        ensure_views(conn, taxonomy_in_force(conn))
        # Ctrl-C may have come when all that was left to ask for was being answered.
        error = (namer.stopped if namer else None) or named.error
        stopped = isinstance(error, StoppedError)
        path = None if stopped else page.ensure(conn, run_id=run_id, out=settings.out, emit=bus, png=settings.png).path
    return Drawn(path, namer.usd if namer else 0.0, named.unanswered, error)
