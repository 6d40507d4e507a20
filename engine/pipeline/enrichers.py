"""Enrich single cards: what is asked of a model or of rules, and what becomes of the answer. One class a kind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import anyio
import anyio.to_thread

from engine.calls.service import Service
from engine.errors import BadAnswerError, RefusedError
from engine.providers.base import Completer, Completion, Prompt
from engine.store.results import FieldRow, ResultKey, Spec, insert_field_values, insert_summary
from engine.store.writer import Statement
from engine.usage import Usage
from taxonomy import prompt
from taxonomy.answers.extractions import merge, parse_extraction
from taxonomy.answers.summaries import parse_summary, trim_summary
from taxonomy.card import Card, CardInput
from taxonomy.keyless import rules
from taxonomy.keyless.digest import rules_digest
from taxonomy.model import Extraction, Taxonomy, json_value

LONGEST_BODY = 20_000
"""Characters of a body that travel through the queues; no stage reads further. Bounds the memory of a full queue."""

EXTRACT_CHARS = 6_000
SUMMARIZE_CHARS = 4_000
"""Characters of a body that are sent (the published map's)."""

EXTRACT_TOKENS = 2_000
"""Room for eight fields with quotes of 25 words, about 600 tokens in English and three times that in other scripts."""

SUMMARY_TOKENS = 300

WARMING = 5.0
"""Seconds that other calls wait for the first to have written the prompt to the cache; it usually takes two."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage needs to know of a card.

    `card.text` is the body, cut; `offset` is where it begins in the stored card, in characters.
    """

    dataset_id: int
    repo_id: str
    input_hash: str
    card: CardInput
    offset: int


def work_for(dataset_id: int, repo_id: str, input_hash: str, card: Card) -> Work:
    """Take from a card what the stages need."""
    body = card.body[:LONGEST_BODY]
    return Work(
        dataset_id,
        repo_id,
        input_hash,
        CardInput(text=body, title=card.title, tags=card.tags),
        card.body_offset,
    )


@dataclass(frozen=True, slots=True)
class Enriched:
    """What is to be stored for one card; `rows` makes the statements once the result has its number."""

    call_id: int | None
    fields: tuple[FieldRow, ...] = ()
    summary: str | None = None
    problem: str | None = None

    def rows(self, key: ResultKey) -> tuple[Statement, ...]:
        """Make the statements that store this."""
        if self.summary is not None:
            return insert_summary(key, self.summary, self.problem)
        return insert_field_values(key, self.fields)


class Enricher(Protocol):
    """One kind of enrichment of single cards."""

    spec: Spec

    async def enrich(self, work: Work, service: Service) -> Enriched:
        """Enrich one card, calling its provider through `service`.

        Raises:
            HfmapError: it could not be done.
        """


class ModelEnricher(Enricher, Protocol):
    """One that asks a model, in two steps: the question, which may be sent in a batch, and what becomes of the answer."""

    def question(self, work: Work) -> Prompt:
        """Return what is asked about a card."""

    async def accept(self, work: Work, answer: str, call_id: int | None, service: Service) -> Enriched:
        """Make of an answer what is stored; one that is no good is asked for again through `service`.

        Raises:
            HfmapError: it could not be done.
        """


def digest(text: str) -> str:
    """Name a prompt in a specification."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def field_rows(values: Extraction, offset: int) -> tuple[FieldRow, ...]:
    """Make rows of an extraction whose quotes were located in a text that begins at `offset` in the stored card."""
    return tuple(
        FieldRow(
            field=name,
            value=json_value(v),
            quote=v.quote,
            verified=v.verified,
            quote_start=None if v.quote_start is None else v.quote_start + offset,
            quote_end=None if v.quote_end is None else v.quote_end + offset,
            confidence=v.confidence,
            problem=v.problem,
        )
        for name, v in values.items()
    )


async def ask(completer: Completer, question: Prompt) -> tuple[Completion, Usage]:
    """Ask once; return the answer with the tokens it cost, as a `Service` wants it."""
    answer = await completer.complete(question)
    return answer, answer.usage


def most_tokens(completer: Completer, question: Prompt) -> Usage:
    """Return the most tokens a question can use, all of its input counted as written to the cache, the dearest."""
    return Usage(cache_write=question.most_input, output=question.max_tokens + completer.headroom)


class _Asking:
    """What extraction and summary share: asking, asking again, and warming the prompt cache."""

    stage: Literal["extract", "summarize"]

    def __init__(self, completer: Completer) -> None:
        self._completer = completer
        self._first_begun = False
        self._warm = anyio.Event()

    async def _first(self, question: Prompt, service: Service) -> tuple[str, int | None]:
        """Ask; an answer that is empty or refused is an empty string: such cards are asked about once more."""
        try:
            return await self._ask(question, service)
        except (BadAnswerError, RefusedError):
            return "", None

    async def _again(
        self, question: Prompt, answer: str, wrong: str, schema: Mapping[str, Any], service: Service
    ) -> tuple[str, int | None]:
        """Ask for what was wrong with an answer; where there was none, ask the same question anew.

        Raises:
            RefusedError: the model declined, this time too.
        """
        second = question
        if answer.strip():
            second = Prompt(question.system, wrong, question.max_tokens, schema, earlier=(question.user, answer))
        try:
            return await self._ask(second, service)
        except BadAnswerError:
            return "", None

    async def _ask(self, question: Prompt, service: Service) -> tuple[str, int | None]:
        # Twelve calls that start together would each pay for writing the same system prompt to the cache.
        if not self._first_begun:
            self._first_begun = True
            try:
                return await self._call(question, service)
            finally:
                self._warm.set()
        with anyio.move_on_after(WARMING):
            await self._warm.wait()
        return await self._call(question, service)

    async def _call(self, question: Prompt, service: Service) -> tuple[str, int | None]:
        answer, call_id = await service.call(
            self.stage, 1, most_tokens(self._completer, question), lambda: ask(self._completer, question)
        )
        return answer.text, call_id


class ModelExtractor(_Asking):
    """Asks a model for all fields of a card; asks once more for those it got wrong."""

    stage = "extract"

    def __init__(self, completer: Completer, taxonomy: Taxonomy) -> None:
        super().__init__(completer)
        self._taxonomy = taxonomy
        self._system = prompt.extraction_system(taxonomy)
        self._schema = prompt.extraction_schema(taxonomy)
        self.spec = Spec(
            "extract",
            completer.provider,
            completer.model,
            {
                **completer.parameters,
                "taxonomy": taxonomy.digest,
                "prompt": digest(self._system),
                "characters": EXTRACT_CHARS,
            },
        )

    async def enrich(self, work: Work, service: Service) -> Enriched:
        """Extract the fields of one card; see `Enricher`."""
        answer, call_id = await self._first(self.question(work), service)
        return await self.accept(work, answer, call_id, service)

    def question(self, work: Work) -> Prompt:
        """Return what is asked about a card; see `ModelEnricher`."""
        return Prompt(self._system, prompt.card_message(work.card.text[:EXTRACT_CHARS]), EXTRACT_TOKENS, self._schema)

    async def accept(self, work: Work, answer: str, call_id: int | None, service: Service) -> Enriched:
        """Read the fields out of an answer; see `ModelEnricher`."""
        sent = work.card.text[:EXTRACT_CHARS]
        parsed = parse_extraction(answer, self._taxonomy, sent)
        if parsed.problems:
            wrong = prompt.repair_message(parsed.problems, self._taxonomy)
            schema = prompt.repair_schema(parsed.problems, self._taxonomy)
            second, call_id = await self._again(self.question(work), answer, wrong, schema, service)
            parsed = merge(parsed, parse_extraction(second, self._taxonomy, sent))
            if all(value.value is None for value in parsed.values.values()):
                raise BadAnswerError("the model's answers, also the second one, hold no valid field")
        return Enriched(call_id, fields=field_rows(parsed.values, work.offset))


class ModelSummarizer(_Asking):
    """Asks a model for the one-line summary; asks once more if it breaks the rules, then trims."""

    stage = "summarize"

    def __init__(self, completer: Completer, system: str | None = None) -> None:
        super().__init__(completer)
        self._system = system or prompt.summary_system()
        self._schema = prompt.summary_schema()
        self.spec = Spec(
            "summarize",
            completer.provider,
            completer.model,
            {**completer.parameters, "prompt": digest(self._system), "characters": SUMMARIZE_CHARS},
        )

    async def enrich(self, work: Work, service: Service) -> Enriched:
        """Summarize one card; see `Enricher`."""
        answer, call_id = await self._first(self.question(work), service)
        return await self.accept(work, answer, call_id, service)

    def question(self, work: Work) -> Prompt:
        """Return what is asked about a card; see `ModelEnricher`."""
        return Prompt(self._system, prompt.card_message(work.card.text[:SUMMARIZE_CHARS]), SUMMARY_TOKENS, self._schema)

    async def accept(self, work: Work, answer: str, call_id: int | None, service: Service) -> Enriched:
        """Read the summary out of an answer; see `ModelEnricher`."""
        text, problem = parse_summary(answer)
        if text is not None and problem is None:
            return Enriched(call_id, summary=text)
        wrong = prompt.summary_repair_message(problem or "it is empty")
        answer, call_id = await self._again(self.question(work), answer, wrong, self._schema, service)
        second, still = parse_summary(answer)
        if second is not None and still is None:
            return Enriched(call_id, summary=second, problem=f"asked again ({problem})")
        kept = second or text
        if kept is None:
            raise BadAnswerError(f"the model wrote no summary: {still or problem}")
        return Enriched(call_id, summary=trim_summary(kept), problem=f"{still or problem}; trimmed")


class RulesExtractor:
    """Fills the fields by rules, without a model."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self.spec = Spec("extract", "local", rules.MODEL, {"taxonomy": taxonomy.digest, "rules": rules_digest()})

    async def enrich(self, work: Work, service: Service) -> Enriched:  # noqa: ARG002
        """Extract the fields of one card; see `Enricher`."""
        values = await anyio.to_thread.run_sync(rules.extract, work.card, self._taxonomy)
        return Enriched(None, fields=field_rows(values, work.offset))


class RulesSummarizer:
    """Picks and trims the sentence that says best what the records are, without a model."""

    def __init__(self) -> None:
        self.spec = Spec("summarize", "local", rules.MODEL, {"rules": rules_digest()})

    async def enrich(self, work: Work, service: Service) -> Enriched:  # noqa: ARG002
        """Summarize one card; see `Enricher`."""
        return Enriched(None, summary=await anyio.to_thread.run_sync(rules.summarize, work.card))
