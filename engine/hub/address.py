"""Make the Hub's addresses: a listing and its next page, an object, a card, a page for people."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import httpx

from engine.text import shown


def listing_url(endpoint: str, kind: str, *, sort: str, limit: int, expand: Sequence[str]) -> str:
    """Return the address of the first page of a listing.

    Args:
        kind: "datasets", "models" or "spaces".
        sort: by what, best first, in the API's words: "likes", "downloads", "trendingScore", "createdAt", "lastModified".
        limit: rows of all pages together; a page holds at most 1,000.
        expand: the properties that are wanted of each object, in the API's words; the id always comes.
    """
    query = httpx.QueryParams({"sort": sort, "limit": limit, "expand": list(expand)})
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


def at_endpoint(endpoint: str, address: str) -> str | None:
    """Return an address that an answer named, as it is to be asked for at `endpoint`; None where it is another host's.

    A server behind a proxy may call itself http where it is reached by https, and leaves out the name and password that
    the proxy wants: these are the endpoint's.
    """
    home = httpx.URL(endpoint)
    try:
        named = home.join(address)
    except httpx.InvalidURL:
        return None
    if named.netloc != home.netloc:
        return None
    return str(named.copy_with(scheme=home.scheme, userinfo=home.userinfo))
