"""Write times as they are stored: ISO-8601 UTC text."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Return the present time as ISO-8601 UTC text, to the second."""
    return iso_utc(datetime.now(UTC))


def iso_utc(moment: datetime) -> str:
    """Return a time as ISO-8601 UTC text, to the second; a time without a zone is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        moment = moment.replace(tzinfo=UTC)  # a day before the calendar begins, or after it ends
    return moment.isoformat(timespec="seconds")[:19] + "Z"
