"""A trial of a changed taxonomy: a sample of cards read again, compared with what is stored, and what all would cost.

Nothing is stored. What is paid for is said, not entered in the ledger.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from engine.calls.budget import Budget
from engine.calls.context import RunContext
from engine.calls.service import Service, service_for
from engine.errors import HfmapError, ProviderError
from engine.events import Bus
from engine.pipeline.enrichers import EXTRACT_CHARS, Enricher, ModelExtractor, RulesExtractor, Work, work_for
from engine.pipeline.sync import MODEL_CALLS, first_error
from engine.pipeline.tokens import CallKind, tokens
from engine.providers import price_of
from engine.providers.base import Completer
from engine.queries.due import dataset_cards, read_cards, texts_on_map
from engine.store.connection import create
from engine.store.results import FieldRow
from engine.store.runs import Ids, start_run
from engine.store.writer import open_writer
from engine.usage import Usage
from taxonomy import prompt
from taxonomy.card import parse_card
from taxonomy.cardtext import split_front_matter
from taxonomy.model import Taxonomy

FIELD_TOKENS, FIELDS = 50, 8
"""Tokens that one field adds to an answer, and how many fields `tokens.TYPICAL` reckons with."""


@dataclass(frozen=True, slots=True)
class ReadingCost:
    """What reading cards costs in US dollars, by list prices; nothing for local readers."""

    cards: int
    usd: float


@dataclass(frozen=True, slots=True)
class Trial:
    """A sample read again.

    `fields`: by dataset_id, the rows that would be stored; `failed` cards gave none; `error` is what ended it early.
    """

    fields: dict[int, tuple[FieldRow, ...]]
    failed: int
    usd: float
    error: HfmapError | None = None


def choose(conn: sqlite3.Connection, size: int, field: str) -> list[Work]:
    """Pick cards that have been read, in proportion to the values of a field, at least one of each while there is room.

    The same database gives the same sample.
    """
    strata: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for read in read_cards(conn, field):
        strata[read.value].append(
            (hashlib.sha256(read.repo_id.encode("utf-8", "replace")).hexdigest(), read.dataset_id)
        )
    places = shares_of({value: len(members) for value, members in strata.items()}, size)
    ids = [dataset_id for value, count in places.items() for _, dataset_id in sorted(strata[value])[:count]]
    return [
        work_for(card.dataset_id, card.repo_id, card.input_hash, parse_card(card.text))
        for card in dataset_cards(conn, ids)
    ]


def shares_of(sizes: dict[str, int], places: int) -> dict[str, int]:
    """Divide places among strata: one each to the largest first, the rest by size (largest remainders)."""
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    given = dict.fromkeys(order[:places], 1)
    left = min(places, sum(sizes.values())) - len(given)
    room = {name: sizes[name] - 1 for name in given}
    total = sum(room.values())
    if left <= 0 or not total:
        return given
    exact = {name: left * room[name] / total for name in room}
    for name, share in exact.items():
        given[name] += int(share)
    rest = left - sum(int(share) for share in exact.values())
    for name in sorted(exact, key=lambda n: (int(exact[n]) - exact[n], n))[:rest]:
        given[name] += 1
    return given


def price(completer: Completer | None, taxonomy: Taxonomy, bodies: Sequence[str]) -> ReadingCost:
    """Price the reading of cards under a taxonomy; repairs and longer answers than usual come on top."""
    if completer is None or not completer.paid:
        return ReadingCost(len(bodies), 0.0)
    system = tokens(prompt.extraction_system(taxonomy))
    kind = CallKind("extract", completer.model, system, completer.headroom > 0)
    usage = kind.usage([tokens(prompt.card_message(body[:EXTRACT_CHARS])) for body in bodies], {})
    more = FIELD_TOKENS * (len(taxonomy.fields) - FIELDS) * len(bodies)
    usage = Usage(usage.input, max(0, usage.output + more), usage.cache_write, usage.cache_read)
    return ReadingCost(len(bodies), price_of(completer.model).usd(usage))


def all_bodies(conn: sqlite3.Connection) -> list[str]:
    """The bodies of all cards on the map, one of each text."""
    return [split_front_matter(card.text)[1].strip()[:EXTRACT_CHARS] for card in texts_on_map(conn)]


async def read_again(
    works: Sequence[Work], completer: Completer | None, taxonomy: Taxonomy, budget: float | None
) -> Trial:
    """Read the fields of cards under a taxonomy, by a model or, without one, by rules.

    Where the provider cannot be used any more, or the budget is reached, what has been read until then is returned.

    Raises:
        HfmapError: that was so before any card was read.
    """
    extractor: Enricher = RulesExtractor(taxonomy) if completer is None else ModelExtractor(completer, taxonomy)
    money, fields, failed = Budget(budget), dict[int, tuple[FieldRow, ...]](), 0
    waiting, error = iter(works), None

    async def worker(service: Service) -> None:
        nonlocal failed
        for work in waiting:
            try:
                fields[work.dataset_id] = (await extractor.enrich(work, service)).fields
            except ProviderError:
                if service.fatal is not None:
                    raise
                failed += 1

    try:
        # Calls are entered in a ledger of the trial's own, which goes with it.
        async with open_writer(Path(":memory:")) as writer:
            context = RunContext(await writer.run(_scratch_run), Ids(0, 0, 0), writer, Bus())
            service = service_for(completer, money, context, "extract", at_once=MODEL_CALLS)
            async with anyio.create_task_group() as tasks:
                for _ in range(1 if completer is None else MODEL_CALLS):
                    tasks.start_soon(worker, service)
    except* HfmapError as errors:
        error = first_error(errors)
        if not fields:
            raise error from None
    return Trial(fields, failed, money.spent, error)


def _scratch_run(conn: sqlite3.Connection) -> int:
    create(conn)
    return start_run(conn, "trial", None, {})
