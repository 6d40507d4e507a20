"""The one clock of what is stored."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Return the present time as ISO-8601 UTC text, to the second."""
    return iso_utc(datetime.now(UTC))


def iso_utc(moment: datetime) -> str:
    """Return a time as ISO-8601 UTC text, to the second; a time without a zone is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
