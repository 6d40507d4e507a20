"""What is known about one field of one card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from taxonomy.model import Value


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A value and its proof.

    `quote` is at most 25 words; where `verified`, it is `card[quote_start:quote_end]` of the card text that was
    sent. `confidence` is between 0 and 1, where the source of the value can tell. `problem` says why `value` is
    None, or what was repaired to get it.
    """

    value: Value
    quote: str | None = None
    verified: bool = False
    quote_start: int | None = None
    quote_end: int | None = None
    confidence: float | None = None
    problem: str | None = None


#: Every field of the taxonomy is present; one without a valid value has `value` None.
Extraction = Mapping[str, FieldValue]


def json_value(value: FieldValue) -> str | None:
    """The value as JSON text, or None where there is none."""
    if value.value is None:
        return None
    return json.dumps(value.value, ensure_ascii=False)
