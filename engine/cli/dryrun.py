"""`hfmap sync --dry-run`, and the question before a run that costs more than a little. Both only look."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from engine.cli.choose import naming_model, providers, source
from engine.cli.output import Output
from engine.cli.text import dollars, plain
from engine.config import Secrets, Settings
from engine.errors import StoreError
from engine.events import Bus
from engine.store.connection import open_readonly
from engine.store.views import usable_taxonomy

if TYPE_CHECKING:
    from engine.pipeline.estimate import Estimate

ASK_ABOVE = 1.0
"""US dollars that a run may cost without being asked about."""

PAID = frozenset({"cohere", "anthropic"})
"""Providers, as settings name them, that cost money."""

# What has changed since topics were clustered, and how many have names from key phrases that no model was asked to
# better.
_TREE = """SELECT changed, iif(parameters ->> '$.asked', 0, (SELECT count(*) FROM topic t
    WHERE t.tree_id = topic_tree.tree_id AND t.named_by = 'key-phrases'))
FROM topic_tree ORDER BY tree_id DESC LIMIT 1"""

FEWEST_POINTS = 40
"""Below this many datasets there is one topic, and it is not named by a model."""


def run_dry(settings: Settings, secrets: Secrets, output: Output, bus: Bus) -> int:  # noqa: ARG001
    """Show, stage by stage, what a sync would do and what that would cost; return the exit code.

    Raises:
        HfmapError: the source or the database cannot be read, or a key is missing.
    """
    if settings.source == "hub":
        output.say("Listing the Hub …")
    found = foresee(settings, secrets)
    if settings.json:
        output.json(as_json(found), indent=2)
    else:
        _print(output, settings, found)
    return 0


def confirm_cost(settings: Settings, secrets: Secrets, output: Output) -> bool:
    """Ask before a run that may cost over ASK_ABOVE; True where nothing is to be asked, or nobody is there to answer.

    Raises:
        HfmapError: as `run_dry`.
    """
    used = (settings.embedder_in_use(secrets), settings.llm_in_use(secrets))
    bounded = settings.budget is not None and settings.budget <= ASK_ABOVE
    if settings.yes or bounded or not output.interactive or PAID.isdisjoint(used):
        return True
    output.say("Looking up what is due …")
    try:
        found = foresee(settings, secrets)
    except StoreError as error:
        # A database of an earlier version is brought up to date by the run; until then nothing can be counted in it.
        output.say(str(error))
        return output.confirm("What this run will cost cannot be foreseen. Go on?")
    if found.usd <= ASK_ABOVE:
        return True
    sum_ = dollars(found.usd) if settings.budget is None else dollars(min(found.usd, settings.budget))
    return output.confirm(
        f"This run may cost up to {sum_} (list prices of {found.prices_as_of}). It may be less: cards that turn out "
        "unchanged or too short cost nothing. Go on?"
    )


def foresee(settings: Settings, secrets: Secrets) -> Estimate:
    """Estimate a sync with these settings. Lists the source; asks no paid service; writes nothing."""
    return anyio.run(_foresee, settings, secrets)


async def _foresee(settings: Settings, secrets: Secrets) -> Estimate:
    from engine.pipeline.estimate import Scope, estimate
    from engine.pipeline.sync import Plan, Sync

    async with source(settings, secrets) as (where, fetcher), providers(settings, secrets) as kit:
        taxonomy = usable_taxonomy(settings.taxonomy)
        plan = Plan(
            db=settings.db,
            run_id=0,
            source=where,
            fetcher=fetcher,
            target=settings.target,
            overshoot=settings.overshoot,
            refresh=settings.refresh,
            embedder=kit.embedder,
            completer=kit.completer,
            taxonomy=taxonomy,
            budget=None,
        )
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
            specs=Sync(plan, Bus()).specs(),
            batch=settings.batch,
            namer=namer,
            naming_calls=None if namer is None else naming_calls(settings),
        )
        return await estimate(scope)


def naming_calls(settings: Settings) -> Callable[[int, int], int]:
    """Return what counts the calls that will name topics, from the points on the map and how many of them change.

    If nothing changes the topics pass itself knows. If little changes, topics are carried over; else the map may be
    clustered anew, and then at most all topics are named.
    """
    return partial(_naming_calls, settings.db, settings.max_topics, settings.relayout is True)


def _naming_calls(db: Path, most: int, anew: bool, points: int, changed: int) -> int:
    from render.topics import expected, planned_calls
    from render.trees.lineage import CARRY_SHARE

    if points < FEWEST_POINTS:
        return 0
    if db.exists() and not anew:
        with closing(open_readonly(db)) as conn:
            if changed == 0:
                return planned_calls(conn, max_topics=most)
            row = conn.execute(_TREE).fetchone()
        if row is not None and row[0] + changed <= CARRY_SHARE * points:
            return min(most, int(row[1]))
    return expected(points, most)


def as_json(found: Estimate) -> dict[str, Any]:
    """Return an estimate as JSON values."""
    return {**asdict(found), "usd": found.usd, "usd_due": found.usd_due}


def _print(output: Output, settings: Settings, found: Estimate) -> None:
    line, cards = output.data, found.cards
    line(f"{found.on_map:,} datasets will be on the map, from {cards.looked_at:,} looked at")
    line(f"cards: {cards.ask:,} to ask for, {cards.new:,} new, {cards.unchanged:,} unchanged")
    line("")
    heads = ("fresh", "due", "perhaps", "calls", "tokens in", "cached", "tokens out", "cost")
    widths = (9, 9, 9, 9, 13, 13, 12, 10)
    line(
        f"{'stage':<10}" + "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)) + "  made by"
    )
    for stage in found.stages:
        usage = stage.usage
        tokens_in = usage.input + usage.cache_write + usage.cache_read
        numbers = (stage.fresh, stage.due, stage.unread, stage.calls, tokens_in, usage.cache_read, usage.output)
        cells = [*(f"{number:,}" for number in numbers), dollars(stage.usd)]
        row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        line(f"{stage.stage:<10}{row}  {plain(stage.provider)} {plain(stage.model)}")
    line("")
    most = ""
    if any(stage.unread for stage in found.stages):
        most = " at most"
        line("perhaps: only if cards that are still to be read turn out new or changed, and long enough")
    known = ""
    if found.usd_due != found.usd:
        known = (
            f", of it {dollars(found.usd_due)} for what is known to be due" if found.usd_due else ", none of it sure"
        )
    if not found.usd:
        line("cost: nothing")
        return
    line(f"cost: about {dollars(found.usd)}{most}{known} (list prices of {found.prices_as_of})")
    for stage in found.stages:
        if not stage.priced:
            line(f"{plain(stage.model)} is not in the price table; the dearest known price is taken for it")
    if found.cheaper is not None:
        line(f"the same work with --model {found.cheaper.model}: {dollars(found.cheaper.usd)}")
    if settings.budget is not None and found.usd > settings.budget:
        line(f"the budget of {dollars(settings.budget)} may end it before all is done")
