"""Datasets as a listing gives them, and answers to asking for their cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.text import sound


@dataclass(frozen=True, slots=True)
class Entry:
    """One dataset as a listing gives it. Times are ISO-8601 UTC text.

    `card` is set by sources that hold the cards themselves; others are asked with `CardFetcher`.
    """

    repo_id: str
    author: str | None = None
    likes: int | None = None
    downloads: int | None = None
    downloads_all_time: int | None = None
    trending_score: float | None = None
    created_at: str | None = None
    last_modified: str | None = None
    sha: str | None = None
    gated: str | None = None
    private: bool = False
    disabled: bool = False
    tags: tuple[str, ...] = ()
    card_data: Mapping[str, Any] = field(default_factory=dict)
    url: str | None = None
    card: bytes | None = None

    def __post_init__(self) -> None:
        """Mend what cannot be stored."""
        for name in ("repo_id", "author", "gated"):
            text = getattr(self, name)
            if text is not None:
                object.__setattr__(self, name, sound(text))
        object.__setattr__(self, "tags", tuple(map(sound, self.tags)))

    @property
    def name(self) -> str:
        """The id without its author."""
        return self.repo_id.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer to asking for one card.

    `status` is "ok" (with `raw`), "unchanged" (the ETag still holds), or the reason there is none: "missing",
    "gated", "private", "disabled". `moved_to` is the repository's new id where it was renamed.
    """

    status: str
    raw: bytes | None = None
    etag: str | None = None
    reason: str | None = None
    moved_to: str | None = None
    gone: bool = False
    """Whether the whole repository, not just the card, is missing."""
