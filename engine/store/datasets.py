"""Store and read datasets, their cards and former names: tables `dataset`, `card` and `alias`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

import aiosqlite

from engine.store.clock import utc_now
from engine.store.writer import Statement, statement, to_json


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One row of the newest listing. Field names are the columns of table `dataset`: the one list of what is stored."""

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


_LISTED = tuple(column.name for column in fields(DatasetRow))
_listed_values = attrgetter(*_LISTED)
_INSERT_LISTING = (
    f"INSERT INTO dataset ({', '.join(_LISTED)}) VALUES ({', '.join('?' * len(_LISTED))}) "
    "ON CONFLICT (repo_id) DO UPDATE SET "
    + ", ".join(
        f"{name} = excluded.{name}" for name in _LISTED if name not in ("dataset_id", "repo_id", "first_seen_run")
    )
)


def insert_listing(rows: Sequence[DatasetRow]) -> Statement:
    """Enter or refresh rows of the listing. A known repository keeps its dataset_id and first_seen_run."""
    return Statement(_INSERT_LISTING, [_listed_values(row) for row in rows])


@dataclass(frozen=True, slots=True)
class DatasetDescription:
    """What the listing and the card together say of a dataset; display buckets included.

    Field names are the columns of table `dataset`; `metadata` is JSON.
    """

    pretty_name: str | None
    license: str | None
    metadata: str
    license_family: str
    size_category: str
    language: str
    task_category: str
    modality: str


_DESCRIBED = tuple(column.name for column in fields(DatasetDescription))
_description_values = attrgetter(*_DESCRIBED)
_UPDATE_DESCRIPTIONS = (
    f"UPDATE dataset SET {', '.join(f'{name} = ?{place}' for place, name in enumerate(_DESCRIBED, 2))} "
    f"WHERE dataset_id = ?1 AND ({' OR '.join(f'{name} IS NOT ?{place}' for place, name in enumerate(_DESCRIBED, 2))})"
)


def update_descriptions(rows: Sequence[tuple[int, DatasetDescription]]) -> Statement:
    """Store descriptions by dataset_id, where they differ from what is stored."""
    return Statement(_UPDATE_DESCRIPTIONS, [(dataset_id, *_description_values(one)) for dataset_id, one in rows])


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """How asking for a card ended. `status` as in column `card_status`."""

    status: str
    reason: str | None = None
    sha: str | None = None
    etag: str | None = None


def update_card_status(rows: Sequence[tuple[int, CardAnswer]]) -> Statement:
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


_CARD = tuple(column.name for column in fields(CardRow))
_card_values = attrgetter(*_CARD)
_INSERT_CARD = (
    f"INSERT INTO card ({', '.join(_CARD)}, stored_at) VALUES ({'?, ' * len(_CARD)}?) ON CONFLICT (dataset_id) DO UPDATE "
    f"SET {', '.join(f'{name} = excluded.{name}' for name in _CARD[1:])}, stored_at = excluded.stored_at, summary = NULL"
)
_SHOWN = "(SELECT v.summary FROM datasets v WHERE v.repo_id = card.repo_id)"
SEARCH_SUMMARIES = f"UPDATE card SET summary = {_SHOWN} WHERE summary IS NOT {_SHOWN}"
"""Lets search find the summaries that the view `datasets` shows."""
_SEARCH_SUMMARY = f"{SEARCH_SUMMARIES} AND dataset_id = ?"


def insert_card(card: CardRow) -> tuple[Statement, ...]:
    """Store a card in place of the one before, and let search find the summary that speaks for it, if there is one."""
    return (
        statement(_INSERT_CARD, *_card_values(card), utc_now()),
        statement(_SEARCH_SUMMARY, card.dataset_id),
    )


def admit_datasets(dataset_ids: Sequence[int], run_id: int) -> Statement:
    """Put datasets on the map."""
    return Statement(
        "UPDATE dataset SET on_map = 1, admitted_run = ? WHERE dataset_id = ?",
        [(run_id, i) for i in dataset_ids],
    )


def update_membership(run_id: int) -> tuple[Statement, ...]:
    """Take off the map what this run did not admit, and out of the ranking what it did not list."""
    return (
        statement("UPDATE dataset SET on_map = 0 WHERE on_map = 1 AND admitted_run IS NOT ?", run_id),
        statement("UPDATE dataset SET rank = NULL WHERE rank IS NOT NULL AND last_seen_run IS NOT ?", run_id),
    )


def rename_dataset(run_id: int, dataset_id: int, before: str, after: str) -> tuple[Statement, ...]:
    """Give a dataset its repository's new id and keep the old one as an alias."""
    author, _, name = after.rpartition("/")
    return (
        statement(
            "UPDATE dataset SET repo_id = ?, author = ?, name = ? WHERE dataset_id = ?",
            after,
            author or None,
            name,
            dataset_id,
        ),
        *_alias(run_id, dataset_id, before, after),
    )


def supersede_dataset(run_id: int, old_id: int, new_id: int, before: str, after: str) -> tuple[Statement, ...]:
    """Mark a row whose repository was listed anew, as another row, under its new id."""
    return (*mark_deleted(run_id, [old_id], f"renamed to {after}"), *_alias(run_id, new_id, before, after))


def _alias(run_id: int, dataset_id: int, before: str, after: str) -> tuple[Statement, ...]:
    return (
        statement(
            "INSERT OR REPLACE INTO alias (repo_id, dataset_id, run_id) VALUES (?, ?, ?)", before, dataset_id, run_id
        ),
        statement(
            "INSERT OR REPLACE INTO change (run_id, dataset_id, kind, before, after) VALUES (?, ?, 'renamed', ?, ?)",
            run_id,
            dataset_id,
            before,
            after,
        ),
    )


def mark_deleted(run_id: int, dataset_ids: list[int], reason: str) -> tuple[Statement, ...]:
    """Mark datasets whose repositories are gone; their rows and results stay."""
    ids = to_json(dataset_ids)
    return (
        statement(
            "UPDATE dataset SET card_status = 'deleted', card_reason = ?, on_map = 0, rank = NULL "
            "WHERE dataset_id IN (SELECT value FROM json_each(?))",
            reason,
            ids,
        ),
        statement(
            "INSERT OR REPLACE INTO change (run_id, dataset_id, kind, after) "
            "SELECT ?, value, 'deleted', ? FROM json_each(?)",
            run_id,
            reason,
            ids,
        ),
    )


@dataclass(frozen=True, slots=True)
class KnownDataset:
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
class UnlistedDataset:
    """A dataset that has dropped out of the listing. `rank` is its place in the one before."""

    dataset_id: int
    repo_id: str
    created_at: str | None
    card_etag: str | None
    rank: int
    on_map: int


class DatasetReader:
    """Reads on a connection of its own; it sees every committed change."""

    def __init__(self, conn: aiosqlite.Connection) -> None:
        self._conn = conn

    async def known(self, repo_ids: Sequence[str]) -> dict[str, KnownDataset]:
        """Return what is stored of these repositories, by repo_id."""
        rows = await self._conn.execute_fetchall(
            "SELECT d.repo_id, d.dataset_id, d.created_at, d.sha, d.last_modified, d.gated, d.private, d.disabled, "
            "d.card_status, d.card_sha, d.card_etag, c.input_hash, c.body_chars, c.declared "
            "FROM json_each(?) j JOIN dataset d ON d.repo_id = j.value LEFT JOIN card c USING (dataset_id)",
            (json.dumps(list(repo_ids)),),
        )
        return {row[0]: KnownDataset(*row[1:]) for row in rows}

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

    async def unlisted(self, run_id: int) -> list[UnlistedDataset]:
        """Return the datasets of the Hub that were ranked before and that this run has not listed."""
        rows = await self._conn.execute_fetchall(
            "SELECT dataset_id, repo_id, created_at, card_etag, rank, on_map FROM dataset WHERE rank IS NOT NULL "
            "AND last_seen_run IS NOT ? AND sha IS NOT NULL AND card_status <> 'deleted'",
            (run_id,),
        )
        return [UnlistedDataset(*row) for row in rows]

    async def card_text(self, dataset_id: int) -> str:
        """Return the whole card of a dataset that has one."""
        rows = list(await self._conn.execute_fetchall("SELECT text FROM card WHERE dataset_id = ?", (dataset_id,)))
        return str(rows[0][0])
