"""The repositories that the Hub's double knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

EPOCH = "2024-01-01T00:00:00.000Z"


@dataclass
class DatasetState:
    """One dataset repository. `card` is README.md as bytes, or None where there is none.

    `card_data` and `tags` are what the listing says; they need not agree with the card's front matter.
    """

    id: str
    card: bytes | None = None
    likes: int = 0
    downloads: int = 0
    downloads_all_time: int = 0
    trending_score: float = 0
    tags: list[str] = field(default_factory=list)
    card_data: dict[str, Any] | None = None
    description: str | None = None
    sha: str = ""
    created_at: str = EPOCH
    last_modified: str = EPOCH
    gated: Literal[False, "auto", "manual"] = False
    private: bool = False
    disabled: bool = False
    author: str | None = None

    def __post_init__(self) -> None:
        if not self.sha:
            self.sha = hashlib.sha1(f"{self.id}:0".encode(), usedforsecurity=False).hexdigest()
        if self.author is None and "/" in self.id:
            self.author = self.id.partition("/")[0]

    @property
    def etag(self) -> str:
        """The card's ETag, as the Hub makes it: its git blob id, in quotation marks."""
        card = self.card or b""
        digest = hashlib.sha1(b"blob %d\0" % len(card) + card, usedforsecurity=False).hexdigest()
        return f'"{digest}"'

    def commit(self) -> None:
        """A new commit: another sha and a later date, the files as they were."""
        self.sha = hashlib.sha1(f"{self.id}:{self.sha}".encode(), usedforsecurity=False).hexdigest()
        then = datetime.fromisoformat(self.last_modified) + timedelta(hours=1)
        self.last_modified = then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def row(self) -> dict[str, Any]:
        """Everything the API says about it, by the API's names."""
        return {
            "_id": hashlib.md5(self.id.encode(), usedforsecurity=False).hexdigest()[:24],
            "id": self.id,
            "key": "",
            "author": self.author,
            "sha": self.sha,
            "lastModified": self.last_modified,
            "createdAt": self.created_at,
            "likes": self.likes,
            "downloads": self.downloads,
            "downloadsAllTime": self.downloads_all_time,
            "trendingScore": self.trending_score,
            "tags": self.tags,
            "gated": self.gated,
            "private": self.private,
            "disabled": self.disabled,
            "cardData": self.card_data,
            "description": self.description,
            "citation": None,
            "paperswithcode_id": None,
            "usedStorage": len(self.card or b"") + 1_000_000,
            "mainSize": len(self.card or b"") + 900_000,
            "resourceGroup": None,
            "siblings": [{"rfilename": name} for name in self.files],
        }

    @property
    def files(self) -> list[str]:
        """Names of the files in the repository."""
        card = ["README.md"] if self.card is not None else []
        return [".gitattributes", *card, "data/train-00000-of-00001.parquet"]


class Hub:
    """The repositories by id, and the ids they had before. Not locked; `HubDouble` locks."""

    def __init__(self, datasets: Iterable[DatasetState] = ()) -> None:
        self.datasets: dict[str, DatasetState] = {}
        self.renamed: dict[str, str] = {}
        for state in datasets:
            self.datasets[state.id] = state

    def current_id(self, repo_id: str) -> str:
        """The id that a repository has now (itself, unless it was renamed)."""
        seen = set()
        while repo_id in self.renamed and repo_id not in self.datasets and repo_id not in seen:
            seen.add(repo_id)
            repo_id = self.renamed[repo_id]
        return repo_id

    def rename(self, old: str, new: str) -> DatasetState:
        """Give a repository another id. Its commits and files stay; the old id redirects.

        Raises:
            KeyError: there is none of that id.
        """
        state = self.datasets.pop(old)
        state.id = new
        state.author = new.partition("/")[0] if "/" in new else None
        self.datasets[new] = state
        self.renamed[old] = new
        return state
