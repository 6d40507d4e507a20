"""One run from start to end: the lock, the ledger, the pipeline, the passes, and how it all ended."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
from anyio.from_thread import start_blocking_portal

from engine.config import Secrets, Settings
from engine.errors import (
    EXIT_BUDGET,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_KEY,
    EXIT_PARTIAL,
    HfmapError,
    PassError,
    StoppedError,
)
from engine.events import Bus, Notice, RunFinished, RunStarted
from engine.pipeline.sync import Plan, Sync, SyncResult, first_error
from engine.providers import check_providers, load_secrets, naming_model
from engine.run.clients import clients, source
from engine.run.passes import Preload, run_passes
from engine.store.connection import as_store_error, missing_database, open_passes, prepare, writing
from engine.store.results import ResultStage, put_in_force, reset_failures
from engine.store.runs import Ids, finish_run, start_run
from engine.store.views import ensure_views, taxonomy_in_force, update_model_names, usable_taxonomy
from taxonomy.model import Taxonomy

T = TypeVar("T")

_OUTCOMES = {
    EXIT_DONE: "done",
    EXIT_PARTIAL: "partial",
    EXIT_BUDGET: "budget",
    EXIT_INTERRUPTED: "interrupted",
}


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended, as its row in the table `run` says it.

    `outcome` and `exit_code` are those of the command line (README). `seconds` is by part of the run, `usd` what it
    spent, `page` the map that it drew or found unchanged; None where none was to be drawn, or Ctrl-C came first.
    """

    run_id: int
    outcome: str
    exit_code: int
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    usd: float
    page: Path | None


@dataclass(slots=True)
class _Tally:
    """What a run's row in the ledger will say."""

    exit_code: int = EXIT_DONE
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    usd: float = 0.0
    page: Path | None = None


def sync(settings: Settings, secrets: Secrets | None = None, bus: Bus | None = None) -> RunResult:
    """Bring the database and the map up to date.

    Args:
        settings: what to map, and how.
        secrets: keys and addresses; by default those of the environment.
        bus: is told what happens, as it happens.

    Raises:
        HfmapError: the run could not start, or could not go on; what was done is stored.
    """
    settings, secrets, bus = check_providers(settings), secrets or load_secrets(), bus or Bus()
    # Before a new database is made, or anything paid for.
    taxonomy = usable_taxonomy(settings.taxonomy)

    def work(run_id: int, tally: _Tally) -> None:
        started = time.monotonic()
        if not settings.no_map:
            bus.subscribe(Preload(settings.db, by_model=naming_model(settings, secrets) is not None))
        result = _unwrapped(settings.db, lambda: run_async(_sync, settings, secrets, run_id, taxonomy, bus))
        tally.seconds |= result.seconds | {"sync": time.monotonic() - started}
        tally.usd = result.usd
        _count(result, tally)
        with open_passes(settings.db) as conn:
            update_model_names(conn)
        if not settings.no_map:
            _draw_after_sync(settings, secrets, run_id, bus, tally)

    return _run("sync", settings, bus, work, taxonomy)


def draw(settings: Settings, secrets: Secrets | None = None, bus: Bus | None = None) -> RunResult:
    """Lay out, name and draw the map from the database alone; arguments as for `sync`.

    Raises:
        HfmapError: there is nothing to draw, or a pass failed.
    """
    settings, secrets, bus = check_providers(settings), secrets or load_secrets(), bus or Bus()
    if not settings.db.exists():
        raise missing_database(settings.db)
    return _run("map", settings, bus, lambda run_id, tally: _draw(settings, secrets, run_id, bus, tally))


def run_async(work: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function to its end, also where an event loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return anyio.run(work, *args)
    with start_blocking_portal() as portal:
        running = portal.start_task_soon(work, *args)
        try:
            return running.result()
        except KeyboardInterrupt:
            # Whoever waits in a notebook presses Ctrl-C (■) once, and means at once; what was stored is kept.
            running.cancel()
            raise


def _run(
    command: str,
    settings: Settings,
    bus: Bus,
    work: Callable[[int, _Tally], None],
    taxonomy: Taxonomy | None = None,
) -> RunResult:
    tally = _Tally(exit_code=EXIT_FAILED)
    with writing(settings.db, f"hfmap {command}"):
        for version in prepare(settings.db):
            bus(Notice(f"{settings.db} was brought up to date from version {version}."))
        with open_passes(settings.db) as conn:
            if ensure_views(conn, taxonomy or taxonomy_in_force(conn)):
                bus(Notice("Another taxonomy than before is in force: fields are read from every card again."))
            run_id = start_run(conn, command, settings.source if command == "sync" else None, settings.as_json())
        bus(RunStarted(run_id, command, settings.as_json()))
        try:
            tally.exit_code = EXIT_DONE
            work(run_id, tally)
        except KeyboardInterrupt:
            tally.exit_code = EXIT_INTERRUPTED
        except HfmapError as error:
            tally.exit_code = error.exit_code
            raise
        except BaseException:
            tally.exit_code = EXIT_FAILED
            raise
        finally:
            outcome = _finish(settings, run_id, tally, bus)
    page = None if tally.exit_code == EXIT_INTERRUPTED else tally.page
    return RunResult(run_id, outcome, tally.exit_code, tally.counts, tally.seconds, tally.usd, page)


def _finish(settings: Settings, run_id: int, tally: _Tally, bus: Bus) -> str:
    outcome = _OUTCOMES.get(tally.exit_code, "failed")
    with open_passes(settings.db) as conn:
        finish_run(conn, run_id, outcome=outcome, exit_code=tally.exit_code, counts=tally.counts, seconds=tally.seconds)
    page = str(tally.page) if tally.page else None
    bus(RunFinished(run_id, outcome, tally.exit_code, tally.counts, tally.seconds, tally.usd, page))
    return outcome


async def _sync(settings: Settings, secrets: Secrets, run_id: int, taxonomy: Taxonomy, bus: Bus) -> SyncResult:
    async with source(settings, secrets, bus) as (where, fetcher), clients(settings, secrets) as kit:
        plan = Plan(
            db=settings.db,
            run_id=run_id,
            source=where,
            fetcher=fetcher,
            target=settings.target,
            overshoot=settings.overshoot,
            refresh=settings.refresh,
            embedder=kit.embedder,
            completer=kit.completer,
            taxonomy=taxonomy,
            budget=settings.budget,
            batch=settings.batch,
        )
        sync = Sync(plan, bus)
        with open_passes(settings.db) as conn:
            spec_ids: dict[ResultStage, int] = {spec.stage: put_in_force(conn, spec) for spec in sync.specs()}
            ids = Ids.after(conn)
            if settings.retry_failed:
                reset_failures(conn)
        if not ids.result:
            # Nothing is enriched yet: every service will be asked, and none is to wait for its library then.
            await kit.load()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_obey_signals, sync, bus)
            result = await sync.run(ids, spec_ids)
            tasks.cancel_scope.cancel()
        return result


class _StopNow(Exception):  # noqa: N818
    """The user has asked twice."""


async def _obey_signals(sync: Sync, bus: Bus) -> None:
    """Let the first Ctrl-C (or SIGTERM) drain; let the second stop at once."""
    if threading.current_thread() is not threading.main_thread():
        return  # signals are the main thread's alone
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        asked = False
        async for _ in signals:
            if asked:
                # Not KeyboardInterrupt: raised in a task, it would tear the event loop down under the others.
                raise _StopNow
            asked = True
            bus(
                Notice(
                    "Stopping: calls in flight are finished and kept. Press Ctrl-C again to stop at once.", "warning"
                )
            )
            sync.stop()


def _unwrapped(db: Path, work: Callable[[], SyncResult]) -> SyncResult:
    """Run a task group's work; of the errors it may end with, raise the one that counts.

    Raises:
        KeyboardInterrupt: the user wants to stop at once.
        HfmapError: an expected error, SQLite's among them.
    """
    try:
        return work()
    except* (_StopNow, KeyboardInterrupt):
        raise KeyboardInterrupt from None
    except* HfmapError as errors:
        raise first_error(errors) from None
    except* sqlite3.Error as errors:
        raise as_store_error(_first(errors), db) from errors


def _first(errors: BaseExceptionGroup[sqlite3.Error]) -> Exception:
    for error in errors.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")


def _count(result: SyncResult, tally: _Tally) -> None:
    """Take the numbers over, and find the exit code that says most about them."""
    tally.counts |= {name: count for name, count in result.counts.items() if count}
    for stage in result.stages:
        numbers = {"done": stage.done, "failed": stage.failed, "left": stage.left}
        tally.counts |= {f"{stage.stage}_{name}": count for name, count in numbers.items() if count}
    fatal = (result.cards_fatal, *(stage.fatal for stage in result.stages))
    codes = {error.exit_code for error in fatal if error is not None}
    failed = (
        result.counts["unreadable"]
        + result.counts["cards_failed"]
        + result.counts["cards_left"]
        + sum(stage.failed + stage.left for stage in result.stages)
    )
    if result.stopped:
        tally.exit_code = EXIT_INTERRUPTED
    elif result.error is not None:
        tally.exit_code = result.error.exit_code
    elif EXIT_KEY in codes:
        tally.exit_code = EXIT_KEY
    elif EXIT_BUDGET in codes:
        tally.exit_code = EXIT_BUDGET
    elif failed:
        tally.exit_code = EXIT_PARTIAL


def _draw_after_sync(settings: Settings, secrets: Secrets, run_id: int, bus: Bus, tally: _Tally) -> None:
    """Draw what a sync has brought; where it could not go on, leave the map as it was."""
    if tally.exit_code not in (EXIT_DONE, EXIT_PARTIAL):
        if tally.exit_code != EXIT_INTERRUPTED:
            bus(Notice("The map is left as it was; `hfmap map` draws it from what is stored.", "warning"))
        return
    try:
        _draw(settings, secrets, run_id, bus, tally)
    except PassError as error:
        if tally.exit_code == EXIT_DONE:
            raise
        # What failed before is the reason; it decides how the run ends.
        bus(Notice(str(error), "error"))


def _draw(settings: Settings, secrets: Secrets, run_id: int, bus: Bus, tally: _Tally) -> None:
    started = time.monotonic()
    drawn = run_passes(settings, secrets, run_id, bus, tally.usd)
    tally.page = drawn.page
    tally.usd += drawn.usd
    tally.seconds["map"] = time.monotonic() - started
    if drawn.unanswered:
        tally.counts["topics_unanswered"] = drawn.unanswered
        tally.exit_code = EXIT_PARTIAL
    if isinstance(drawn.error, StoppedError):
        tally.exit_code = EXIT_INTERRUPTED
    elif drawn.error is not None:
        if drawn.error.exit_code in (EXIT_BUDGET, EXIT_KEY):
            tally.exit_code = drawn.error.exit_code
        hint = f" {drawn.error.hint}" if drawn.error.hint else ""
        kept = f"{drawn.unanswered:,} topics have names from key phrases until `hfmap map` is run again."
        bus(Notice(f"naming topics stops here: {drawn.error}{hint} {kept}", "error"))
