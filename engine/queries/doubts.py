"""List the values that may be wrong, and why, the most doubtful first."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from engine.store.views import taxonomy_in_force
from taxonomy.model import ABSTENTIONS
from taxonomy.model_names import spelling_key

UNSURE = 0.5
"""Below this confidence a value is doubted."""

# How much each reason weighs. Two readers who disagree, or a value without any proof, say most; a repaired answer
# is usually right.
_INVALID, _DISAGREE, _UNVERIFIED, _NO_QUOTE, _UNSURE, _REPAIRED = 1.0, 0.8, 0.6, 0.3, 0.5, 0.15
_ABSTAINS = 0.4
"""What is left of a doubt about a value that only says that the card is silent."""

_LONGEST_QUOTE = 200
"""Characters of a quote are enough to look at."""


@dataclass(frozen=True, slots=True)
class OtherReading:
    """What another provider read from the same card. `value` is a JSON value."""

    provider: str
    model: str
    value: Any


@dataclass(frozen=True, slots=True)
class Doubt:
    """A value worth a look. `score` grows with the reasons, and has no unit; `value` is a JSON value or None."""

    repo_id: str
    rank: int | None
    field: str
    value: Any
    quote: str | None
    verified: bool
    confidence: float | None
    problem: str | None
    provider: str
    model: str
    score: float
    reasons: tuple[str, ...]
    others: tuple[OtherReading, ...]


# The newest result of each other provider, made from the same card text.
_OTHERS = """
SELECT i.dataset_id, v.field, s.provider, s.model, v.value, max(r.result_id)
FROM in_force i
JOIN dataset d ON d.dataset_id = i.dataset_id AND d.on_map = 1
JOIN result r ON r.input_hash = i.input_hash AND r.result_id <> i.result_id
JOIN spec s ON s.spec_id = r.spec_id AND s.stage = 'extract' AND s.provider <> i.provider
JOIN field_value v ON v.result_id = r.result_id
WHERE i.stage = 'extract'
GROUP BY i.dataset_id, v.field, s.provider
"""
_VALUES = """
SELECT i.dataset_id, d.repo_id, d.rank, v.field, v.value, v.quote, v.verified, v.confidence, v.problem,
    i.provider, i.model
FROM in_force i
JOIN dataset d ON d.dataset_id = i.dataset_id AND d.on_map = 1
JOIN field_value v ON v.result_id = i.result_id
WHERE i.stage = 'extract' AND NOT EXISTS (
    SELECT 1 FROM correction o WHERE o.dataset_id = i.dataset_id AND o.field = v.field)
"""


def review(conn: sqlite3.Connection) -> list[Doubt]:
    """List every value in force that something speaks against, of datasets on the map, the most doubtful first.

    That is: a quote that is not in the card, two providers that disagree, low confidence, a repaired answer. Corrected
    values are left out, and fields that the taxonomy in force does not have.
    """
    fields = {field.name for field in taxonomy_in_force(conn)}
    others: dict[tuple[int, str], list[OtherReading]] = {}
    for dataset_id, field, provider, model, text, _ in conn.execute(_OTHERS):
        if text is not None:
            others.setdefault((dataset_id, field), []).append(OtherReading(provider, model, json.loads(text)))
    doubts = (_doubt(tuple(row), others.get((row[0], row[3]), [])) for row in conn.execute(_VALUES) if row[3] in fields)
    return sorted((doubt for doubt in doubts if doubt.reasons), key=_order)


def _order(doubt: Doubt) -> tuple[Any, ...]:
    return (-doubt.score, doubt.rank is None, doubt.rank, doubt.repo_id, doubt.field)


def _doubt(row: tuple[Any, ...], others: list[OtherReading]) -> Doubt:
    _, repo_id, rank, field, text, quote, verified, confidence, problem, provider, model = row
    value = None if text is None else json.loads(text)
    reasons: list[tuple[float, str]] = []
    differing = tuple(other for other in others if value is not None and _key(other.value) != _key(value))
    if value is None:
        reasons.append((_INVALID, f"no valid value: {problem or 'none was given'}"))
    for other in differing:
        weight = _DISAGREE * (_ABSTAINS if _abstains(value) or _abstains(other.value) else 1)
        reasons.append((weight, f"{other.provider} ({other.model}) reads {_shown(other.value)}"))
    if value is not None and not verified and not _needs_no_quote(value):
        told = bool(quote) and quote.casefold() not in {"not_stated", "not stated"}
        reasons.append((_UNVERIFIED, "its quote is not in the card") if told else (_NO_QUOTE, "it has no quote"))
    if value is not None and confidence is not None and confidence < UNSURE:
        weight = (_UNSURE + UNSURE - confidence) * (_ABSTAINS if _abstains(value) else 1)
        reasons.append((weight, f"confidence {confidence:.2f}"))
    if value is not None and problem and not _abstains(value):
        reasons.append((_REPAIRED, f"repaired: {problem}"))
    reasons.sort(key=lambda reason: -reason[0])
    return Doubt(
        repo_id=repo_id,
        rank=rank,
        field=field,
        value=value,
        quote=quote[:_LONGEST_QUOTE] if quote else quote,
        verified=bool(verified),
        confidence=confidence,
        problem=problem,
        provider=provider,
        model=model,
        score=round(sum(weight for weight, _ in reasons), 3),
        reasons=tuple(words for _, words in reasons),
        others=differing,
    )


def _key(value: Any) -> object:
    """What two values are compared by: the order of a list and the spelling of a name do not count."""
    return frozenset(spelling_key(str(item)) for item in value) if isinstance(value, list) else value


def _abstains(value: Any) -> bool:
    return value in ABSTENTIONS if isinstance(value, str) else isinstance(value, list) and set(value) <= ABSTENTIONS


def _needs_no_quote(value: Any) -> bool:
    """Nothing in a card proves that it is silent, or that it is no benchmark."""
    return value is False or _abstains(value)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
