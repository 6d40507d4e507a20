"""How long a service asks to be left alone."""

from __future__ import annotations

import email.utils
import math
from collections.abc import Mapping
from datetime import UTC, datetime


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
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    # A date without a zone is in GMT, as HTTP has it.
    moment = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
