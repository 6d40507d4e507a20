"""What is written while a sync runs, as statements for the one writer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.store.clock import utc_now
from engine.store.writer import Statement, statement
from engine.usage import Usage

ResultStage = Literal["embed", "extract", "summarize"]
FailureStage = Literal["card", "embed", "extract", "summarize"]


def to_json(value: object) -> str:
    """Write JSON the one way that is stored: compact, readable text, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One row of the newest listing. Field names are the columns of table `dataset`."""

    dataset_id: int
    repo_id: str
    author: str | None
    name: str
    url: str | None
    rank: int
    likes: int | None
    downloads: int | None
    downloads_all_time: int | None
    trending_score: float | None
    created_at: str | None
    last_modified: str | None
    sha: str | None
    gated: str | None
    private: bool
    disabled: bool
    tags: str
    first_seen_run: int
    last_seen_run: int


_LISTED = tuple(f.name for f in fields(DatasetRow))
_UPSERT_LISTED = (
    f"INSERT INTO dataset ({', '.join(_LISTED)}) VALUES ({', '.join('?' * len(_LISTED))}) "
    "ON CONFLICT (repo_id) DO UPDATE SET "
    + ", ".join(
        f"{name} = excluded.{name}" for name in _LISTED if name not in ("dataset_id", "repo_id", "first_seen_run")
    )
)


def listed(rows: Sequence[DatasetRow]) -> Statement:
    """Enter or refresh rows of the listing. A known repository keeps its dataset_id and first_seen_run."""
    return Statement(_UPSERT_LISTED, [tuple(getattr(row, name) for name in _LISTED) for row in rows])


@dataclass(frozen=True, slots=True)
class Described:
    """What the listing and the card together say of a dataset; display buckets included."""

    pretty_name: str | None
    license: str | None
    metadata: Mapping[str, Any]
    license_family: str
    size_category: str
    language: str
    task_category: str
    modality: str


def described(rows: Sequence[tuple[int, Described]]) -> Statement:
    """Store descriptions by dataset_id, where they differ from what is stored."""
    return Statement(
        "UPDATE dataset SET pretty_name = ?1, license = ?2, metadata = ?3, license_family = ?4, size_category = ?5, "
        "language = ?6, task_category = ?7, modality = ?8 WHERE dataset_id = ?9 AND (pretty_name IS NOT ?1 "
        "OR license IS NOT ?2 OR metadata IS NOT ?3 OR license_family IS NOT ?4 OR size_category IS NOT ?5 "
        "OR language IS NOT ?6 OR task_category IS NOT ?7 OR modality IS NOT ?8)",
        [
            (
                d.pretty_name,
                d.license,
                to_json(d.metadata),
                d.license_family,
                d.size_category,
                d.language,
                d.task_category,
                d.modality,
                dataset_id,
            )
            for dataset_id, d in rows
        ],
    )


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """How asking for a card ended. `status` as in column `card_status`."""

    status: str
    reason: str | None = None
    sha: str | None = None
    etag: str | None = None


def card_answers(rows: Sequence[tuple[int, CardAnswer]]) -> Statement:
    """Record how asking for cards ended, by dataset_id."""
    now = utc_now()
    return Statement(
        "UPDATE dataset SET card_status = ?, card_reason = ?, card_sha = ?, card_etag = ?, card_checked_at = ? "
        "WHERE dataset_id = ?",
        [(a.status, a.reason, a.sha, a.etag, now, dataset_id) for dataset_id, a in rows],
    )


@dataclass(frozen=True, slots=True)
class CardRow:
    """One card. Field names are the columns of table `card`; `declared` and `problems` are JSON."""

    dataset_id: int
    repo_id: str
    pretty_name: str | None
    text: str
    body_chars: int
    front_matter: str
    declared: str
    problems: str
    input_hash: str
    stored_run: int


def card_stored(card: CardRow) -> Statement:
    """Store a card in place of the one before. Its search copy takes over a summary made from the same text."""
    return statement(
        "INSERT INTO card (dataset_id, repo_id, pretty_name, text, body_chars, front_matter, declared, problems, "
        "input_hash, stored_run, stored_at, summary) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
        "coalesce((SELECT o.value ->> '$' FROM override o WHERE o.dataset_id = ?1 AND o.field = 'summary'), "
        "(SELECT s.text FROM result r JOIN summary s USING (result_id) JOIN current_spec cs USING (spec_id) "
        "WHERE r.input_hash = ?9))) "
        "ON CONFLICT (dataset_id) DO UPDATE SET repo_id = excluded.repo_id, pretty_name = excluded.pretty_name, "
        "text = excluded.text, body_chars = excluded.body_chars, front_matter = excluded.front_matter, "
        "declared = excluded.declared, problems = excluded.problems, input_hash = excluded.input_hash, "
        "stored_run = excluded.stored_run, stored_at = excluded.stored_at, summary = excluded.summary",
        *(getattr(card, f.name) for f in fields(CardRow)),
        utc_now(),
    )


def admitted(dataset_ids: Sequence[int], run_id: int) -> Statement:
    """Put datasets on the map."""
    return Statement(
        "UPDATE dataset SET on_map = 1, admitted_run = ? WHERE dataset_id = ?",
        [(run_id, i) for i in dataset_ids],
    )


def membership_settled(run_id: int) -> tuple[Statement, ...]:
    """Take off the map what this run did not admit, and out of the ranking what it did not list."""
    return (
        statement("UPDATE dataset SET on_map = 0 WHERE on_map = 1 AND admitted_run IS NOT ?", run_id),
        statement("UPDATE dataset SET rank = NULL WHERE rank IS NOT NULL AND last_seen_run IS NOT ?", run_id),
    )


@dataclass(frozen=True, slots=True)
class CallRow:
    """One row of the ledger."""

    call_id: int
    run_id: int
    stage: str
    provider: str
    model: str
    items: int
    usage: Usage
    usd: float
    seconds: float
    retries: int
    outcome: str


def call_made(call: CallRow) -> Statement:
    """Enter a call into the ledger."""
    return statement(
        "INSERT INTO call (call_id, run_id, stage, provider, model, items, input_tokens, output_tokens, "
        "cache_write_tokens, cache_read_tokens, usd, seconds, retries, outcome, finished_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        call.call_id,
        call.run_id,
        call.stage,
        call.provider,
        call.model,
        call.items,
        call.usage.input,
        call.usage.output,
        call.usage.cache_write,
        call.usage.cache_read,
        call.usd,
        call.seconds,
        call.retries,
        call.outcome,
        utc_now(),
    )


@dataclass(frozen=True, slots=True)
class ResultKey:
    """Which card text, under which specification, made by which run and call."""

    result_id: int
    spec_id: int
    input_hash: str
    run_id: int
    call_id: int | None


def _results(keys: Sequence[ResultKey]) -> Statement:
    now = utc_now()
    return Statement(
        "INSERT INTO result (result_id, spec_id, input_hash, run_id, call_id, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        [(k.result_id, k.spec_id, k.input_hash, k.run_id, k.call_id, now) for k in keys],
    )


def embeddings(keys: Sequence[ResultKey], vectors: NDArray[np.float32]) -> tuple[Statement, ...]:
    """Store one vector per key; `vectors` is float32, shape (keys, dimensions)."""
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    return (
        _results(keys),
        Statement(
            "INSERT INTO embedding (result_id, dimensions, vector) VALUES (?, ?, ?)",
            [(k.result_id, rows.shape[1], row.tobytes()) for k, row in zip(keys, rows, strict=True)],
        ),
    )


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of one card; `value` is JSON or None."""

    field: str
    value: str | None
    quote: str | None
    verified: bool
    quote_start: int | None
    quote_end: int | None
    confidence: float | None
    problem: str | None


def extraction(key: ResultKey, values: Sequence[FieldRow]) -> tuple[Statement, ...]:
    """Store the fields of one card."""
    return (
        _results([key]),
        Statement(
            "INSERT INTO field_value (result_id, field, value, quote, verified, quote_start, quote_end, "
            "confidence, problem) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(key.result_id, *astuple(v)) for v in values],
        ),
    )


def summarized(key: ResultKey, text: str, problem: str | None) -> tuple[Statement, ...]:
    """Store the summary of one card."""
    return (
        _results([key]),
        statement("INSERT INTO summary (result_id, text, problem) VALUES (?, ?, ?)", key.result_id, text, problem),
    )


@dataclass(frozen=True, slots=True)
class FailureRow:
    """What could not be done for one dataset at one stage."""

    dataset_id: int
    stage: FailureStage
    spec_id: int | None
    input_hash: str | None
    permanent: bool
    reason: str
    attempts: int
    run_id: int


def failed(rows: Sequence[FailureRow]) -> Statement:
    """Record failures, each in place of the one before at its stage."""
    now = utc_now()
    return Statement(
        "INSERT INTO failure (dataset_id, stage, spec_id, input_hash, kind, reason, attempts, run_id, failed_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (dataset_id, stage) DO UPDATE SET "
        "spec_id = excluded.spec_id, input_hash = excluded.input_hash, kind = excluded.kind, "
        "reason = excluded.reason, attempts = excluded.attempts, run_id = excluded.run_id, "
        "failed_at = excluded.failed_at, "
        "runs = CASE WHEN failure.spec_id IS excluded.spec_id AND failure.input_hash IS excluded.input_hash "
        "THEN failure.runs + (failure.run_id <> excluded.run_id) ELSE 1 END",
        [
            (
                f.dataset_id,
                f.stage,
                f.spec_id,
                f.input_hash,
                "permanent" if f.permanent else "transient",
                f.reason,
                f.attempts,
                f.run_id,
                now,
            )
            for f in rows
        ],
    )


def mended(rows: Sequence[tuple[int, FailureStage]]) -> Statement:
    """Forget failures of what has been done since."""
    return Statement("DELETE FROM failure WHERE dataset_id = ? AND stage = ?", list(rows))
