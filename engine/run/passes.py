"""The synchronous passes, one after the other: layout, topics, page."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import anyio
from anyio.from_thread import start_blocking_portal

from engine.calls.budget import Budget
from engine.calls.context import RunContext
from engine.calls.service import Service, service_for
from engine.config import Secrets, Settings
from engine.errors import CONCERNS_ALL, BadAnswerError, HfmapError, RefusedError, StoppedError
from engine.events import Bus, Event, Notice, PassStarted, StageGrew
from engine.pipeline.enrichers import ask, most_tokens
from engine.providers import naming_model
from engine.providers.base import Completer, Prompt
from engine.run.clients import completer
from engine.store.connection import open_passes, open_readonly
from engine.store.layouts import read_newest_layout, refit_at
from engine.store.runs import Ids
from engine.store.views import ensure_views, taxonomy_in_force
from engine.store.writer import open_writer

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


CALLS = 12
"""Naming calls at once, the same limit as for the other calls to the model."""

STOPPING = "Stopping: names that are being asked for are waited for and kept. Press Ctrl-C again to stop at once."


class ModelNamer:
    """Names topics from a synchronous pass; the calls run in an event loop of their own.

    `connect` makes the completer, of the model named `model`; nothing is imported or opened before the first call.
    """

    def __init__(
        self, model: str, connect: Callable[[], Completer], db: Path, run_id: int, bus: Bus, budget: float | None,
        spent: float,
    ) -> None:  # fmt: skip
        self.model = model
        self._connect = connect
        self._db = db
        self._run_id = run_id
        self._bus = bus
        self._spent_before = spent
        self._budget = Budget(budget, spent=spent)
        self._service: Service | None = None
        self._fatal: HfmapError | None = None

    @property
    def usd(self) -> float:
        """What naming has cost so far, in US dollars."""
        return self._budget.spent - self._spent_before

    @property
    def stopped(self) -> StoppedError | None:
        """Whether Ctrl-C was pressed while names were asked for."""
        return self._fatal if isinstance(self._fatal, StoppedError) else None

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> list[str | HfmapError]:
        """Answer (system, user) prompts, in their order; see `render.topics.model_naming.TopicNamer`. Blocks.

        Ctrl-C lets no further call begin and waits for those in flight; a second one breaks them off.

        Raises:
            HfmapError: the client cannot be made.
        """
        stopped = StoppedError("the run is being stopped")
        answers: list[str | HfmapError] = [self._fatal or stopped] * len(prompts)
        if self._fatal is not None:
            return answers
        try:
            with start_blocking_portal() as portal:
                done = portal.start_task_soon(self._complete, prompts, max_tokens, answers)
                try:
                    done.result()
                except KeyboardInterrupt:
                    self._bus(Notice(STOPPING, "warning"))
                    portal.call(self._stop, stopped)
                    done.result()
        except KeyboardInterrupt:
            self._fatal = stopped
        return answers

    async def _stop(self, stopped: StoppedError) -> None:
        self._fatal = stopped
        if self._service is not None:
            self._service.stop(stopped)

    async def _complete(
        self, prompts: Sequence[tuple[str, str]], max_tokens: int, answers: list[str | HfmapError]
    ) -> None:
        completer = self._connect()
        async with aclosing(completer), open_writer(self._db) as writer:
            context = RunContext(self._run_id, await writer.run(Ids.after), writer, self._bus)
            service = service_for(completer, self._budget, context, "topics", at_once=CALLS)
            self._service = service

            async def one(place: int, system: str, user: str) -> None:
                question = Prompt(system, user, max_tokens)
                try:
                    if self._fatal is not None:
                        raise self._fatal
                    answer, _ = await service.call(
                        "topics", 1, most_tokens(completer, question), lambda: ask(completer, question)
                    )
                    answers[place] = answer.text
                except (BadAnswerError, RefusedError):
                    answers[place] = ""
                except HfmapError as error:
                    if isinstance(error, CONCERNS_ALL) and self._fatal is None:
                        self._fatal = error
                    answers[place] = error

            async with anyio.create_task_group() as tasks:
                for place, (system, user) in enumerate(prompts):
                    tasks.start_soon(one, place, system, user)
