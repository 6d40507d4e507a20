"""How long the Hub wants its clients to wait."""

from __future__ import annotations

from collections.abc import Mapping

from engine.text import retry_after


def hub_wish(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds the Hub wants us to wait: Retry-After, else until its quota is renewed.

    A Retry-After of 0 says nothing of when that is.
    """
    return retry_after(headers) or quota_renewed(headers)


def quota_renewed(headers: Mapping[str, str]) -> float | None:
    """Read in how many seconds a quota that is used up is renewed, from the RateLimit header; None while some is left."""
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    info = parse_ratelimit_headers(headers)
    return float(info.reset_in_seconds) if info is not None and info.remaining == 0 else None
