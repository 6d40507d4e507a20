"""The picture of a sync, as code: list, download and store cards, and enrich those on the map as they come.

source ──▶ Intake (8 at once) ──▶ store ──▶ admit ──┬─▶ embed      (batches, one at a time)
                                                    ├─▶ extract    ┐ one limit for both
                                                    └─▶ summarize  ┘
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from engine.calls.budget import Budget
from engine.calls.caller import Caller
from engine.calls.context import RunContext
from engine.calls.service import service_for
from engine.errors import HfmapError
from engine.events import Bus, Notice
from engine.pipeline.batch_stage import BatchStage
from engine.pipeline.cards import WORKERS, Intake
from engine.pipeline.enrichers import (
    Enricher,
    ModelExtractor,
    ModelSummarizer,
    RulesExtractor,
    RulesSummarizer,
    work_for,
)
from engine.pipeline.membership import Membership
from engine.pipeline.stages import CardStage, EmbedStage, Stage, StageState
from engine.providers import batches_of
from engine.providers.base import Completer, Embedder
from engine.sources.base import CardFetcher, Source
from engine.store.batches import BatchReader
from engine.store.changes import record_result_changes, remember
from engine.store.connection import open_reader
from engine.store.datasets import DatasetReader, admit_datasets
from engine.store.results import ResultReader, ResultStage, Spec
from engine.store.runs import Ids
from engine.store.writer import Writer, open_writer
from taxonomy.card import Card, parse_card
from taxonomy.model import Taxonomy

MODEL_CALLS = 12
"""Calls to the language model at once, extraction and summaries together."""

MODEL_TASKS = 2 * MODEL_CALLS
"""Tasks of each stage that call it: while some wait to try again, others take their places."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync is to do. `completer` is None where fields and summaries come from rules."""

    db: Path
    run_id: int
    source: Source
    fetcher: CardFetcher | None
    target: int
    overshoot: int
    refresh: bool
    embedder: Embedder
    completer: Completer | None
    taxonomy: Taxonomy
    budget: float | None
    batch: bool = False
    summary_prompt: str | None = None
    """Another system prompt for summaries than the packaged one."""


@dataclass(slots=True)
class SyncResult:
    """How a sync ended.

    `stages` holds what each was due, did and left; `error` is why listing stopped, `cards_fatal` why asking for cards
    did, if they did.
    """

    counts: Counter[str]
    stages: list[StageState]
    usd: float = 0.0
    error: HfmapError | None = None
    cards_fatal: HfmapError | None = None
    stopped: bool = False
    seconds: dict[str, float] = field(default_factory=dict)


class Sync:
    """One sync. Call `run` once; `stop` from another task ends it early and keeps all that was done."""

    def __init__(self, plan: Plan, bus: Bus) -> None:
        self._plan = plan
        self._bus = bus
        self._stopping = anyio.Event()
        self._intake_scope = anyio.CancelScope()
        self._stages: dict[ResultStage, Stage] = {}
        self._embed_spec = _embed_spec(plan.embedder)
        self._enrichers = _enrichers(plan.completer, plan.taxonomy, plan.summary_prompt)

    def stop(self) -> None:
        """Start nothing new; let calls in flight finish and be stored."""
        self._stopping.set()
        self._intake_scope.cancel()
        for stage in self._stages.values():
            stage.stop()

    async def run(self, ids: Ids, spec_ids: dict[ResultStage, int]) -> SyncResult:
        """Run the whole pipeline.

        Args:
            ids: row numbers to continue from.
            spec_ids: the numbers of the specifications that `specs` returned.

        Raises:
            sqlite3.Error: the database cannot be written.
        """
        plan = self._plan
        budget = Budget(plan.budget)
        result = SyncResult(Counter(), [])
        async with open_reader(plan.db) as reading, open_writer(plan.db) as writer:
            reader, results = DatasetReader(reading), ResultReader(reading)
            await writer.run(remember)
            # Embedders that learn it from their first answer are told what it has to agree with.
            plan.embedder.dimensions = plan.embedder.dimensions or await results.dimensions(spec_ids["embed"])
            context = RunContext(plan.run_id, ids, writer, self._bus, result.counts, self._stopping)
            self._stages = self._make_stages(context, budget, spec_ids, BatchReader(reading))
            result.stages = [stage.state for stage in self._stages.values()]
            caller = Caller("the Hub", at_once=anyio.CapacityLimiter(WORKERS), bus=self._bus, stage="card")
            intake = Intake(
                context=context,
                reader=reader,
                source=plan.source,
                fetcher=plan.fetcher,
                caller=caller,
                refresh=plan.refresh,
                admit=lambda members, cards: self._admit(writer, reader, results, members, cards),
                membership=Membership(plan.target),
            )
            await self._flow(intake, result)
            result.cards_fatal = caller.breaker.fatal
            await writer.write(*record_result_changes(plan.run_id))
        result.usd = budget.spent
        result.stopped = self._stopping.is_set()
        return result

    async def _flow(self, intake: Intake, result: SyncResult) -> None:
        plan, started = self._plan, time.monotonic()
        for stage in self._stages.values():
            await stage.prepare()
        async with anyio.create_task_group() as tasks:
            for stage in self._stages.values():
                stage.start(tasks)
            try:
                with self._intake_scope:
                    await intake.run(max(plan.target, plan.overshoot))
            except* HfmapError as errors:
                # What was listed before is on the map and stays due; the stages still work it off.
                result.error = first_error(errors)
                self._bus(Notice(str(result.error), "error"))
            finally:
                for stage in self._stages.values():
                    stage.close()
            result.seconds["cards"] = time.monotonic() - started
        result.seconds["enrich"] = time.monotonic() - started

    async def _admit(
        self, writer: Writer, reader: DatasetReader, results: ResultReader, members: Sequence[int],
        cards: dict[int, Card],
    ) -> None:  # fmt: skip
        """Put datasets on the map and queue what the database says is still to do for them."""
        await writer.write(admit_datasets(members, self._plan.run_id))
        for due in await results.due(members):
            card = cards.get(due.dataset_id)
            if card is None:
                card = parse_card(await reader.card_text(due.dataset_id))
            await self._stages[due.stage].put(work_for(due.dataset_id, due.repo_id, due.input_hash, card))

    def specs(self) -> list[Spec]:
        """Return the specification of each stage, before anything runs."""
        return [self._embed_spec, *(enricher.spec for enricher in self._enrichers)]

    def _make_stages(
        self, context: RunContext, budget: Budget, spec_ids: dict[ResultStage, int], reader: BatchReader
    ) -> dict[ResultStage, Stage]:
        plan = self._plan
        embedding = service_for(plan.embedder, budget, context, "embed")
        completing = service_for(plan.completer, budget, context, "extract", at_once=MODEL_CALLS)
        state = StageState("embed", self._embed_spec, spec_ids["embed"])
        stages: dict[ResultStage, Stage] = {"embed": EmbedStage(state, context, embedding, plan.embedder)}
        batches = batches_of(plan.completer)
        for enricher in self._enrichers:
            state = StageState(enricher.spec.stage, enricher.spec, spec_ids[enricher.spec.stage])
            workers = MODEL_TASKS if plan.completer is not None else 1
            if isinstance(enricher, (ModelExtractor, ModelSummarizer)) and batches is not None:
                stages[state.stage] = BatchStage(
                    state, context, completing, enricher, workers, batches=batches, reader=reader, sending=plan.batch
                )
            else:
                stages[state.stage] = CardStage(state, context, completing, enricher, workers)
        return stages


def specs_of(embedder: Embedder, completer: Completer | None, taxonomy: Taxonomy) -> list[Spec]:
    """Return the specifications of embedding, extraction and summaries; without a completer, rules do the latter two."""
    return [_embed_spec(embedder), *(enricher.spec for enricher in _enrichers(completer, taxonomy))]


def _embed_spec(embedder: Embedder) -> Spec:
    return Spec("embed", embedder.provider, embedder.model, dict(embedder.parameters))


def _enrichers(
    completer: Completer | None, taxonomy: Taxonomy, summary_prompt: str | None = None
) -> tuple[Enricher, Enricher]:
    if completer is None:
        return RulesExtractor(taxonomy), RulesSummarizer()
    return ModelExtractor(completer, taxonomy), ModelSummarizer(completer, summary_prompt)


def first_error(errors: BaseExceptionGroup[HfmapError]) -> HfmapError:
    """Return the first error of a group, however deep it lies."""
    for error in errors.exceptions:
        return first_error(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")
