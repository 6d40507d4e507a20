"""Record batches of questions that a service answers later, and what has come of each: `batch`, `batch_request`.

A batch is recorded before it is sent ('intended'), and again with the service's name for it once it is ('submitted'). So
a run that is killed at any moment leaves behind where to look for what it has paid for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import aiosqlite

from engine.store.clock import utc_now
from engine.store.results import ResultStage
from engine.store.writer import Statement, statement

State = Literal["ended", "lost"]
RequestOutcome = Literal["stored", "failed", "errored", "expired", "canceled", "obsolete", "lost"]


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch whose results have not all been taken. `provider_batch_id` is None where it may not have been sent."""

    batch_id: str
    provider_batch_id: str | None
    requests: int
    created_at: str


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request without an outcome. `call_id` is its row in the ledger, None while it has none."""

    custom_id: str
    dataset_id: int
    input_hash: str
    call_id: int | None


@dataclass(frozen=True, slots=True)
class StoredCard:
    """A card as it is stored now, to be read again once its answer is there."""

    dataset_id: int
    repo_id: str
    text: str


def record_batch(
    batch: OpenBatch, run_id: int, stage: ResultStage, spec_id: int, requests: Sequence[OpenRequest]
) -> tuple[Statement, ...]:
    """Record a batch that is about to be sent."""
    return (
        statement(
            "INSERT INTO batch (batch_id, run_id, stage, spec_id, requests, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            batch.batch_id,
            run_id,
            stage,
            spec_id,
            batch.requests,
            batch.created_at,
        ),
        Statement(
            "INSERT INTO batch_request (batch_id, custom_id, dataset_id, input_hash) VALUES (?, ?, ?, ?)",
            [(batch.batch_id, r.custom_id, r.dataset_id, r.input_hash) for r in requests],
        ),
    )


def record_submission(batch_id: str, provider_batch_id: str) -> Statement:
    """Record that the service has a batch, and what it calls it."""
    return statement(
        "UPDATE batch SET state = 'submitted', provider_batch_id = ?, submitted_at = ? WHERE batch_id = ?",
        provider_batch_id,
        utc_now(),
        batch_id,
    )


def end_batch(batch_id: str, state: State) -> tuple[Statement, ...]:
    """Record that a batch's results are all taken, or that it was never sent or is gone; nothing is open then."""
    return (
        statement("UPDATE batch SET state = ?, ended_at = ? WHERE batch_id = ?", state, utc_now(), batch_id),
        statement("UPDATE batch_request SET outcome = 'lost' WHERE batch_id = ? AND outcome IS NULL", batch_id),
    )


def record_request_call(batch_id: str, custom_id: str, call_id: int) -> Statement:
    """Note under which number a request stands in the ledger, so that it is entered once."""
    return statement(
        "UPDATE batch_request SET call_id = ? WHERE batch_id = ? AND custom_id = ?", call_id, batch_id, custom_id
    )


def settle_request(batch_id: str, custom_id: str, outcome: RequestOutcome) -> Statement:
    """Record what became of a request; it is not looked at again."""
    return statement(
        "UPDATE batch_request SET outcome = ? WHERE batch_id = ? AND custom_id = ?", outcome, batch_id, custom_id
    )


class BatchReader:
    """Reads what is open, on a connection of its own."""

    def __init__(self, conn: aiosqlite.Connection) -> None:
        self._conn = conn

    async def open_batches(self, spec_id: int) -> list[OpenBatch]:
        """Return the batches under a specification whose results have not all been taken, the oldest first."""
        rows = await self._conn.execute_fetchall(
            "SELECT batch_id, provider_batch_id, requests, created_at FROM batch "
            "WHERE spec_id = ? AND state IN ('intended', 'submitted') ORDER BY created_at, batch_id",
            (spec_id,),
        )
        return [OpenBatch(*row) for row in rows]

    async def open_requests(self, batch_id: str) -> list[OpenRequest]:
        """Return the requests of a batch that have no outcome."""
        rows = await self._conn.execute_fetchall(
            "SELECT custom_id, dataset_id, input_hash, call_id FROM batch_request "
            "WHERE batch_id = ? AND outcome IS NULL ORDER BY custom_id",
            (batch_id,),
        )
        return [OpenRequest(*row) for row in rows]

    async def provider_ids(self) -> set[str]:
        """Return the service's names of all batches that are recorded with one."""
        rows = await self._conn.execute_fetchall(
            "SELECT provider_batch_id FROM batch WHERE provider_batch_id IS NOT NULL"
        )
        return {row[0] for row in rows}

    async def cards(self, spec_id: int, input_hashes: Sequence[str]) -> dict[str, StoredCard]:
        """Return, by input hash, the cards that still have this text and no result under the specification."""
        rows = await self._conn.execute_fetchall(
            "SELECT c.input_hash, c.dataset_id, c.repo_id, c.text FROM json_each(?) j JOIN card c ON c.input_hash = j.value "
            "WHERE NOT EXISTS (SELECT 1 FROM result r WHERE r.spec_id = ? AND r.input_hash = c.input_hash) "
            "ORDER BY c.dataset_id DESC",
            (json.dumps(list(input_hashes)), spec_id),
        )
        return {row[0]: StoredCard(*row[1:]) for row in rows}
