"""Estimate what a sync would do and cost, from the listing and the database. Nothing is written.

Work on cards that are stored, or that the source holds itself, is known. What depends on cards that are still to be
read is bounded from above: each of them counts as long enough, new, and of the usual length.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, closing, nullcontext
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

import aiosqlite

from engine.pipeline.enrichers import EXTRACT_CHARS, LONGEST_BODY, SUMMARIZE_CHARS
from engine.pipeline.membership import Survey, survey
from engine.pipeline.tokens import CallKind, Means, mean_tokens, tokens
from engine.providers import PROVIDERS, facts_of, list_price, price_of
from engine.providers.base import Completer, Embedder
from engine.providers.prices import PRICES_AS_OF
from engine.queries.due import card_texts, count_leaving, done_texts, is_in_force
from engine.sources.base import Source
from engine.store.connection import open_readonly
from engine.store.datasets import DatasetReader
from engine.store.results import Spec
from engine.usage import Usage
from taxonomy import prompt
from taxonomy.card import CardInput
from taxonomy.cardtext import split_front_matter
from taxonomy.model import Taxonomy


@dataclass(frozen=True, slots=True)
class Scope:
    """What a sync with the present settings covers. `specs` are those of embed, extract and summarize.

    `batch`: extraction and summaries are asked for in batches, at the price of batches.

    `naming_calls` counts the calls that name topics, from the datasets on the map and how many of them will have come,
    changed or gone; None, like `namer`, where no map is drawn or no model names.
    """

    db: Path
    source: Source
    target: int
    limit: int
    refresh: bool
    retry_failed: bool
    embedder: Embedder
    completer: Completer | None
    taxonomy: Taxonomy
    specs: Sequence[Spec]
    batch: bool = False
    namer: str | None = None
    naming_calls: Callable[[int, int], int] | None = None


@dataclass(frozen=True, slots=True)
class CardsEstimate:
    """`ask` cards must be asked for; `new` datasets have no stored card; `unchanged` cards still hold."""

    looked_at: int
    ask: int
    new: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """What is due at one stage, in cards; for topics, in names.

    `due` is known to be due; `unread` is due as well if that many cards turn out new or changed. `calls`, `usage` and
    `usd` are for both together, `usd_due` for `due` alone. `priced`: the model is in the price table; if it is not,
    the dearest known price is taken.
    """

    stage: str
    provider: str
    model: str
    fresh: int
    due: int
    unread: int
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float = 0.0
    usd_due: float = 0.0
    priced: bool = True


@dataclass(frozen=True, slots=True)
class Cheaper:
    """What the same work would cost if another model did what a model does."""

    model: str
    usd: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a sync would do and cost, in US dollars by the price table of `prices_as_of`."""

    prices_as_of: str
    on_map: int
    cards: CardsEstimate
    stages: tuple[StageEstimate, ...]
    cheaper: Cheaper | None

    @property
    def usd(self) -> float:
        """The most it will cost, but for answers longer than usual and for questions asked again."""
        return sum(stage.usd for stage in self.stages)

    @property
    def usd_due(self) -> float:
        """The part that is known to be due."""
        return sum(stage.usd_due for stage in self.stages)


@dataclass(frozen=True, slots=True)
class _Due:
    """Texts that are due, and how many are done; the rest has failed and is not tried again."""

    texts: list[str]
    fresh: int


async def estimate(scope: Scope) -> Estimate:
    """List the source, compare with the database, and price what is due.

    Raises:
        SourceError: the list cannot be read.
        StoreError: there is a database and it cannot be read.
    """
    found = await _survey(scope)
    with closing(open_readonly(scope.db)) if scope.db.exists() else nullcontext() as conn:
        means = mean_tokens(conn) if conn else {}
        due = {spec.stage: _due(conn, spec, found, scope.retry_failed) for spec in scope.specs}
        wanted = {h for spec in scope.specs if _kind(scope, spec) for h in due[spec.stage].texts}
        bodies = _bodies(conn, found, wanted)
        changed = _changed(conn, scope, found, len(due["embed"].texts))
    naming = 0
    if scope.namer is not None and scope.naming_calls is not None:
        naming = scope.naming_calls(found.members, changed)

    def stages(model: str | None) -> list[StageEstimate]:
        """Price all stages; with `model`, as if that one completed."""
        specs = [replace(spec, model=model) if model and spec.stage != "embed" else spec for spec in scope.specs]
        rows = [_stage(scope, spec, due[spec.stage], found.unread, bodies, means) for spec in specs]
        if scope.namer is not None:
            rows.append(_topics(scope, model or scope.namer, naming, found.unread, means))
        return rows

    cheaper = None
    row = PROVIDERS.get(scope.completer.provider) if scope.completer else None
    if scope.completer and row and row.cheaper_model not in ("", scope.completer.model):
        cheaper = Cheaper(row.cheaper_model, sum(stage.usd for stage in stages(row.cheaper_model)))
    cards = CardsEstimate(found.looked_at, found.ask, found.new, found.unchanged)
    return Estimate(PRICES_AS_OF, found.members, cards, tuple(stages(None)), cheaper)


async def _survey(scope: Scope) -> Survey:
    """List the source, and look up what the database holds of it, if there is one."""
    async with AsyncExitStack() as stack:
        reader = None
        if scope.db.exists():
            # It says in a sentence what is wrong with a file that is no database of this version.
            open_readonly(scope.db).close()
            uri = f"{scope.db.absolute().as_uri()}?mode=ro"
            reader = DatasetReader(await stack.enter_async_context(aiosqlite.connect(uri, uri=True)))
        return await survey(
            scope.source, reader, target=scope.target, limit=scope.limit, refresh=scope.refresh
        )  # fmt: skip


def _due(conn: sqlite3.Connection | None, spec: Spec, found: Survey, retry: bool) -> _Due:
    if conn is None:
        return _Due(list(found.hashes), 0)
    done = done_texts(conn, spec, found.hashes, retry_failed=retry)
    nothing_due = done.present | done.given_up
    return _Due([h for h in found.hashes if h not in nothing_due], len(done.present))


def _bodies(conn: sqlite3.Connection | None, found: Survey, wanted: set[str]) -> dict[str, str]:
    bodies = {h: found.bodies[h] for h in wanted & found.bodies.keys()}
    if conn is not None and len(bodies) < len(wanted):
        for card in card_texts(conn, wanted - bodies.keys()):
            bodies[card.input_hash] = split_front_matter(card.text)[1].strip()[:LONGEST_BODY]
    return bodies


def _changed(conn: sqlite3.Connection | None, scope: Scope, found: Survey, embed_due: int) -> int:
    """Count the datasets that will have come, changed or gone since the map was drawn; all, if the vectors change."""
    spec = next(spec for spec in scope.specs if spec.stage == "embed")
    if conn is None or not is_in_force(conn, spec):
        return found.members
    return min(found.members, embed_due + found.unread + count_leaving(conn, found.ids))


def _kind(scope: Scope, spec: Spec) -> CallKind | None:
    """Return what is asked at a stage; None where it costs nothing."""
    if spec.stage == "embed":
        return CallKind("embed", spec.model) if scope.embedder.paid else None
    if scope.completer is None or not scope.completer.paid:
        return None
    extracts = spec.stage == "extract"
    system = prompt.extraction_system(scope.taxonomy) if extracts else prompt.summary_system()
    return CallKind(spec.stage, spec.model, tokens(system), _thinks(scope.completer, spec.model))


def _thinks(completer: Completer, model: str) -> bool:
    """Whether a model thinks before it answers."""
    return completer.headroom > 0 if model == completer.model else facts_of(model).thinks


def _sent(scope: Scope, spec: Spec, body: str) -> str:
    """Return the part of a request that a card makes."""
    if spec.stage == "embed":
        return scope.embedder.text(CardInput(text=body, title=""))
    return prompt.card_message(body[: EXTRACT_CHARS if spec.stage == "extract" else SUMMARIZE_CHARS])


def _stage(scope: Scope, spec: Spec, due: _Due, unread: int, bodies: dict[str, str], means: Means) -> StageEstimate:
    bare = StageEstimate(spec.stage, spec.provider, spec.model, due.fresh, len(due.texts), unread)
    kind = _kind(scope, spec)
    if kind is None:
        return bare
    known = kind.usage([tokens(_sent(scope, spec, bodies.get(h, ""))) for h in due.texts], means)
    usage = known + kind.unread(unread, means, after=len(due.texts))
    price = price_of(spec.model)
    embeds = spec.stage == "embed"
    batched = scope.batch and not embeds
    return replace(
        bare,
        calls=ceil((len(due.texts) + unread) / (scope.embedder.batch_size if embeds else 1)),
        usage=usage,
        usd=price.usd(usage, batched=batched),
        usd_due=price.usd(known, batched=batched),
        priced=list_price(spec.model) is not None,
    )


def _topics(scope: Scope, model: str, calls: int, unread: int, means: Means) -> StageEstimate:
    completer = scope.completer
    # Cards that are still to be read may move the map, and with it how many topics there are to name.
    due = 0 if unread else calls
    bare = StageEstimate("topics", completer.provider if completer else "local", model, 0, due, calls - due, calls)
    if completer is None or not completer.paid:
        return bare
    usage = CallKind("topics", model, thinks=_thinks(completer, model)).unread(calls, means, after=0)
    usd = price_of(model).usd(usage)
    return replace(bare, usage=usage, usd=usd, usd_due=0.0 if unread else usd, priced=list_price(model) is not None)
