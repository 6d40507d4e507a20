"""Foresee a sync: what it would do, stage by stage, and what that would cost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from engine.config import Secrets, Settings
from engine.pipeline.estimate import Estimate, Scope, estimate
from engine.pipeline.sync import specs_of
from engine.providers import check_providers, load_secrets, naming_model
from engine.run.clients import clients, source
from engine.run.runs import run_async
from engine.store.connection import open_readonly
from engine.store.views import usable_taxonomy


def foresee(settings: Settings, secrets: Secrets | None = None) -> Estimate:
    """Estimate what a sync with these settings would do and cost. Lists the source; asks no paid service; writes nothing.

    Raises:
        HfmapError: the source or the database cannot be read, or a key is missing.
    """
    return run_async(_foresee, check_providers(settings), secrets or load_secrets())


async def _foresee(settings: Settings, secrets: Secrets) -> Estimate:
    async with source(settings, secrets) as (where, _), clients(settings, secrets) as kit:
        taxonomy = usable_taxonomy(settings.taxonomy)
        namer = None if settings.no_map else naming_model(settings, secrets)
        scope = Scope(
            db=settings.db,
            source=where,
            target=settings.target,
            limit=max(settings.target, settings.overshoot),
            refresh=settings.refresh,
            retry_failed=settings.retry_failed,
            embedder=kit.embedder,
            completer=kit.completer,
            taxonomy=taxonomy,
            specs=specs_of(kit.embedder, kit.completer, taxonomy),
            batch=settings.batch,
            namer=namer,
            naming_calls=None if namer is None else naming_calls(settings),
        )
        return await estimate(scope)


def naming_calls(settings: Settings) -> Callable[[int, int], int]:
    """Return what counts the calls that will name topics, from the points on the map and how many of them change.

    The topics pass itself knows, which is imported when it is asked.
    """
    return partial(_naming_calls, settings.db, settings.max_topics, settings.relayout is True)


def _naming_calls(db: Path, most: int, anew: bool, points: int, changed: int) -> int:
    from render.topics.topics import plan

    if anew or not db.exists():
        return plan(None, points=points, changed=changed, max_topics=most).calls
    with closing(open_readonly(db)) as conn:
        return plan(conn, points=points, changed=changed, max_topics=most).calls
