"""What the clients of services share."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from datetime import UTC, datetime


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Read how many seconds a service wants us to wait: a number, or a date."""
    given = {name.lower(): value for name, value in (headers or {}).items()}
    if "retry-after-ms" in given:
        try:
            return max(0.0, float(given["retry-after-ms"]) / 1000)
        except ValueError:
            pass
    value = given.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds()) if when.tzinfo else None


def short(error: object, length: int = 200) -> str:
    """Return an error's text on one line, cut."""
    text = " ".join(str(error).split())
    return (text[: length - 1] + "…" if len(text) > length else text) or type(error).__name__
