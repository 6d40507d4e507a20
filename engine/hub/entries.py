"""Make entries of the Hub's JSON: datasets as a listing gives them, and answers to asking for their cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.errors import SourceError
from engine.hub.address import dataset_url
from engine.store.clock import iso_utc
from engine.text import sound

EXPAND = (
    "author", "sha", "lastModified", "createdAt", "likes", "downloads", "downloadsAllTime", "trendingScore", "tags",
    "gated", "private", "disabled", "cardData", "description",
)  # fmt: skip
"""What is asked of each dataset. Left out is `siblings`, the list of files, larger than all the rest."""


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


def entry_of(row: object, endpoint: str) -> Entry:
    """Make an entry of one row of the Hub's listing. What of it is of another type than it should be is left out.

    Raises:
        ValueError: the row names no dataset.
    """
    if not isinstance(row, dict):
        raise ValueError("it is not a JSON object")
    repo_id = row.get("id")
    if not isinstance(repo_id, str) or not repo_id.strip():
        raise ValueError("it has no id")
    info = _dataset_info(row)
    gated, tags = row.get("gated"), row.get("tags")
    return Entry(
        repo_id=repo_id,
        author=_text(row.get("author")) or (repo_id.partition("/")[0] if "/" in repo_id else None),
        likes=_count(row.get("likes")),
        downloads=_count(row.get("downloads")),
        downloads_all_time=_count(row.get("downloadsAllTime")),
        trending_score=_number(row.get("trendingScore")),
        created_at=_time(info.created_at),
        last_modified=_time(info.last_modified),
        sha=_text(row.get("sha")),
        gated=gated if isinstance(gated, str) else ("auto" if gated else None),
        private=bool(row.get("private")),
        disabled=bool(row.get("disabled")),
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        card_data=info.card_data.to_dict() if hasattr(info.card_data, "to_dict") else {},
        url=dataset_url(endpoint, repo_id),
    )


_READ_BY_LIBRARY = ("createdAt", "lastModified", "cardData")


def _dataset_info(row: Mapping[str, Any]) -> Any:
    """Let huggingface_hub read times and metadata, which it knows best; what it cannot read is left out."""
    from huggingface_hub import DatasetInfo

    given = {"id": row["id"]} | {name: row[name] for name in _READ_BY_LIBRARY if name in row}
    for left_out in ((), *((name,) for name in _READ_BY_LIBRARY), _READ_BY_LIBRARY):
        try:
            return DatasetInfo(**{name: value for name, value in given.items() if name not in left_out})  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError):
            continue
    raise ValueError("its id cannot be read")


def _time(value: object) -> str | None:
    return iso_utc(value) if isinstance(value, datetime) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


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


_DISABLED = "Access to this resource is disabled"
"""What the Hub says of repositories that it has taken down, without a code; huggingface_hub goes by these words too."""


def refusal(status: int, code: str, message: str) -> Fetched:
    """Say why there is no card. The Hub names the reason in X-Error-Code, or in X-Error-Message alone.

    Raises:
        SourceError: it is none that the Hub is known to give.
    """
    if code == "GatedRepo":
        return Fetched("gated", reason="access must be asked for on the Hub")
    if code == "EntryNotFound":
        return Fetched("missing", reason="the repository has no README.md")
    if code == "RevisionNotFound":
        return Fetched("missing", reason="the repository has no branch main")
    if code == "RepoNotFound":
        # The Hub does not tell a stranger whether a repository is private or gone.
        return Fetched("missing", reason="the repository is gone or private", gone=True)
    if code == "DisabledRepo" or message.startswith(_DISABLED):
        return Fetched("disabled", reason="the Hub has disabled the repository")
    if status in (401, 403):
        return Fetched("gated", reason=f"the Hub answered HTTP {status}")
    if status in (404, 410, 451):
        return Fetched("missing", reason=f"the Hub answered HTTP {status}")
    raise SourceError(f"the Hub answered HTTP {status}")
