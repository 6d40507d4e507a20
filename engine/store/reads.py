"""Typed reads of a running sync."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import aiosqlite

from engine.store.records import ResultStage


@dataclass(frozen=True, slots=True)
class Known:
    """What the database holds of a repository in the listing.

    `input_hash`, `body_chars` and `declared` are None where no card is stored.
    """

    dataset_id: int
    created_at: str | None
    sha: str | None
    last_modified: str | None
    gated: str | None
    private: int
    disabled: int
    card_status: str
    card_sha: str | None
    card_etag: str | None
    input_hash: str | None
    body_chars: int | None
    declared: str | None


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A dataset that has dropped out of the listing. `rank` is its place in the one before."""

    dataset_id: int
    repo_id: str
    created_at: str | None
    card_etag: str | None
    rank: int
    on_map: int


@dataclass(frozen=True, slots=True)
class Due:
    """One card that a stage has no result for."""

    stage: ResultStage
    dataset_id: int
    repo_id: str
    input_hash: str


class Reader:
    """Reads on a connection of its own; it sees every committed change."""

    def __init__(self, conn: aiosqlite.Connection) -> None:
        self._conn = conn

    async def known(self, repo_ids: Sequence[str]) -> dict[str, Known]:
        """Return what is stored of these repositories, by repo_id."""
        rows = await self._conn.execute_fetchall(
            "SELECT d.repo_id, d.dataset_id, d.created_at, d.sha, d.last_modified, d.gated, d.private, d.disabled, "
            "d.card_status, d.card_sha, d.card_etag, c.input_hash, c.body_chars, c.declared "
            "FROM json_each(?) j JOIN dataset d ON d.repo_id = j.value LEFT JOIN card c USING (dataset_id)",
            (json.dumps(list(repo_ids)),),
        )
        return {row[0]: Known(*row[1:]) for row in rows}

    async def by_commit(self, shas: Sequence[str], run_id: int) -> dict[str, list[tuple[str, str | None]]]:
        """Return, by commit, the (repo_id, created_at) of datasets at these commits that this run has not listed."""
        rows = await self._conn.execute_fetchall(
            "SELECT d.sha, d.repo_id, d.created_at FROM json_each(?) j JOIN dataset d ON d.sha = j.value "
            "WHERE d.last_seen_run IS NOT ? ORDER BY d.repo_id",
            (json.dumps(list(shas)), run_id),
        )
        found: dict[str, list[tuple[str, str | None]]] = {}
        for sha, repo_id, created_at in rows:
            found.setdefault(sha, []).append((repo_id, created_at))
        return found

    async def unlisted(self, run_id: int) -> list[Unlisted]:
        """Return the datasets of the Hub that were ranked before and that this run has not listed."""
        rows = await self._conn.execute_fetchall(
            "SELECT dataset_id, repo_id, created_at, card_etag, rank, on_map FROM dataset WHERE rank IS NOT NULL "
            "AND last_seen_run IS NOT ? AND sha IS NOT NULL AND card_status <> 'deleted'",
            (run_id,),
        )
        return [Unlisted(*row) for row in rows]

    async def due(self, dataset_ids: Sequence[int]) -> list[Due]:
        """Return what the stages have to do for these datasets, in rank order."""
        rows = await self._conn.execute_fetchall(
            "SELECT t.stage, t.dataset_id, t.repo_id, t.input_hash FROM todo t "
            "WHERE t.dataset_id IN (SELECT value FROM json_each(?)) ORDER BY t.rank, t.stage",
            (json.dumps(list(dataset_ids)),),
        )
        return [Due(*row) for row in rows]

    async def dimensions(self, spec_id: int) -> int:
        """Return how many numbers the stored vectors of a specification have; 0 where there are none."""
        rows = await self._conn.execute_fetchall(
            "SELECT e.dimensions FROM result r JOIN embedding e USING (result_id) WHERE r.spec_id = ? LIMIT 1",
            (spec_id,),
        )
        return int(next(iter(rows), (0,))[0])

    async def card_text(self, dataset_id: int) -> str:
        """Return the whole card of a dataset that has one."""
        rows = list(await self._conn.execute_fetchall("SELECT text FROM card WHERE dataset_id = ?", (dataset_id,)))
        return str(rows[0][0])
