"""How long the Hub wants its clients to wait."""

from __future__ import annotations

from collections.abc import Mapping

from engine.retry_after import retry_after


def hub_wish(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds the Hub wants us to wait: Retry-After, else the reset time of its RateLimit header.

    A Retry-After of 0 says nothing of when the quota is renewed; the RateLimit header does.
    """
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    asked = retry_after(headers)
    if asked:
        return asked
    info = parse_ratelimit_headers(headers)
    return float(info.reset_in_seconds) if info is not None and info.remaining == 0 else asked
