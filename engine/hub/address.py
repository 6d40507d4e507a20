"""Make the Hub's addresses: of a listing, an object, a card, and of a dataset's page."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from engine.text import shown


def listing_url(endpoint: str, kind: str, *, sort: str, limit: int, expand: Sequence[str]) -> str:
    """Return the address of the first page of a listing.

    Args:
        kind: "datasets", "models" or "spaces".
        sort: by what, best first, in the API's words: "likes", "downloads", "trendingScore", "createdAt", "lastModified".
        limit: rows of all pages together; a page holds at most 1,000.
        expand: the properties that are wanted of each object, in the API's words; the id always comes.
    """
    query = urlencode({"sort": sort, "limit": limit, "expand": list(expand)}, doseq=True)
    return f"{endpoint}/api/{kind}?{query}"


def object_url(endpoint: str, kind: str, repo_id: str) -> str:
    """Return the address of what the API says of one dataset, model or space."""
    return f"{endpoint}/api/{kind}/{quote(repo_id, safe='/')}"


def card_url(endpoint: str, repo_id: str) -> str:
    """Return the address of a dataset's README."""
    return f"{endpoint}/datasets/{quote(repo_id, safe='/')}/resolve/main/README.md"


def dataset_url(endpoint: str, repo_id: str) -> str:
    """Return the address of a dataset's page, for people."""
    return f"{shown(endpoint)}/datasets/{quote(repo_id, safe='/')}"
