"""Read what comes from outside: one line of it, whole characters, counts, addresses, and how long to wait."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit


def sound(text: str) -> str:
    """Return a text without halves of characters (lone surrogates).

    JSON, YAML and the names of files can carry them, and they can neither be stored nor sent on.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def short(error: object, length: int = 200) -> str:
    """Return an error's text on one line, cut."""
    text = " ".join(str(error).split())
    return (text[: length - 1] + "…" if len(text) > length else text) or type(error).__name__


def safe(text: object, key: str) -> str:
    """Return what a service says of a refused call, on one line, cut, and without the key that it may repeat."""
    return short(str(text).replace(key, "***") if key else text)


def whole(value: object) -> int:
    """Return a number of tokens as a service reports it; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else 0


def is_address(text: str) -> bool:
    """Whether a text is an http(s) URL with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def shown(endpoint: str) -> str:
    """Leave out of an address the name and password that it may carry."""
    scheme, _, rest = endpoint.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Read how many seconds a service wants its client to wait: `retry-after-ms`, or Retry-After as a number or date.

    None where there is no such header, or one that makes no sense.
    """
    given = {name.lower(): value for name, value in (headers or {}).items()}
    milliseconds = _number(given.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = given.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    return seconds if seconds is not None else _until(value)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _until(text: str) -> float | None:
    # It brings in sockets, and few services speak in dates: commands that only read start without it.
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    # A date without a zone is in GMT, as HTTP has it.
    moment = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
