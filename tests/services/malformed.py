"""Ways in which a model's answer goes wrong."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

from tests.services.faults import chance

Malformation = Literal[
    "fence",            # the JSON stands in a code fence
    "prose",            # sentences around it
    "truncated",        # it breaks off
    "wrong_slug",       # a value that is not in the taxonomy
    "missing_fields",   # half the properties are left out
    "bare_string",      # a string where a list was due
    "list_for_string",  # a list where a string was due
    "wrong_case",       # slugs in capitals, with spaces
    "invented_quote",   # a quote that is not in the card
    "extra_fields",     # properties nobody asked for
    "not_json",         # a sentence
    "empty",            # no content at all
    "refusal",          # the model declines
    "max_tokens",       # it breaks off, and stop_reason says so
]  # fmt: skip
MALFORMATIONS: tuple[Malformation, ...] = get_args(Malformation)


def malform(text: str, how: Malformation, salt: str = "") -> tuple[str, str]:
    """(text, stop_reason) of a sound answer gone wrong. Which field is hit depends on the salt."""
    if how in ("empty", "refusal"):
        return "", "refusal" if how == "refusal" else "end_turn"
    if how == "max_tokens":
        return text[: max(1, len(text) // 2)], "max_tokens"
    return _textual(text, how, salt), "end_turn"


def _textual(text: str, how: Malformation, salt: str) -> str:
    if how == "fence":
        return f"```json\n{text}\n```"
    if how == "prose":
        return f"Here is what I found in the card:\n\n{text}\n\nLet me know if {{anything}} is unclear."
    if how == "truncated":
        return text[: len(text) * 2 // 3]
    if how == "not_json":
        return "The card does not say much, so it is hard to tell."
    try:
        value = json.loads(text)
    except ValueError:
        return text + "}"
    if not isinstance(value, dict) or not value:
        return text + "}"
    return json.dumps(_structural(value, how, salt))


def _structural(value: dict[str, Any], how: Malformation, salt: str) -> dict[str, Any]:
    names = list(value)
    if how == "missing_fields":
        kept = names[len(names) // 2 :] if len(names) > 1 else []
        return {name: value[name] for name in kept}
    if how == "extra_fields":
        return {**value, "confidence_note": "high", "reasoning": ["first", "second"]}
    if how == "wrong_case":
        return {name: _each_value(part, _capitals) for name, part in value.items()}
    if how == "invented_quote":
        return {name: _with_quote(part) for name, part in value.items()}
    wanted = list if how == "bare_string" else str
    fitting = [name for name in names if isinstance(_value(value[name]), wanted)] or names
    name = fitting[int(chance("malform", salt, how) * len(fitting))]
    changes = {
        "wrong_slug": lambda part: ["no-such-slug"] if isinstance(part, list) else "no-such-slug",
        "bare_string": lambda part: part[0] if isinstance(part, list) and part else "not_stated",
        "list_for_string": lambda part: [part],
    }
    return {**value, name: _each_value(value[name], changes[how])}


def _value(part: Any) -> Any:
    return part["value"] if isinstance(part, dict) and "value" in part else part


def _each_value(part: Any, change: Any) -> Any:
    if isinstance(part, dict) and "value" in part:
        return {**part, "value": change(part["value"])}
    return change(part)


def _capitals(part: Any) -> Any:
    if isinstance(part, list):
        return [_capitals(one) for one in part]
    return part.replace("-", " ").title() if isinstance(part, str) else part


def _with_quote(part: Any) -> Any:
    if isinstance(part, dict) and "quote" in part:
        return {**part, "quote": "words that no card of this collection has ever contained"}
    return part
