"""Ways in which a model's answer goes wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
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
    "cut_in_string",    # it breaks off inside its last string
    "single_quotes",    # Python's way of writing it
    "unescaped",        # quotation marks and line breaks inside strings as they are
    "draft_first",      # another object, then the answer
    "json_lines",       # an object for each property
    "no_brace",         # it goes on from a brace that it was never given
    "deeper",           # the answer inside other objects
    "typo",             # two letters of a slug changed places
    "nulls",            # null for a value
    "table",            # a table in markdown
]  # fmt: skip
_TWO_WORDS = re.compile(r"([a-z]) ([a-z]+)")
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
    if how == "cut_in_string":
        return text[: text.rstrip('"} \n').rfind(" ")]
    if how == "no_brace":
        return text.lstrip().removeprefix("{")
    if how == "not_json":
        return "The card does not say much, so it is hard to tell."
    try:
        value = json.loads(text)
    except ValueError:
        return text + "}"
    if not isinstance(value, dict) or not value:
        return text + "}"
    written = _written(value, how)
    return json.dumps(_structural(value, how, salt)) if written is None else written


def _written(value: dict[str, Any], how: Malformation) -> str | None:
    """The whole answer in another notation."""
    if how == "single_quotes":
        return str(value)
    if how == "unescaped":
        written = json.dumps(value, ensure_ascii=False).replace('\\"', '"').replace("\\n", "\n")
        return _TWO_WORDS.sub(r'\1\n"\2"', written, count=1)
    if how == "draft_first":
        draft = {name: _each_value(part, lambda _old: "to be decided") for name, part in list(value.items())[:2]}
        return f"First thoughts: {json.dumps(draft)}\nOn reflection:\n{json.dumps(value)}"
    if how == "json_lines":
        return "\n".join(json.dumps({name: part}) for name, part in value.items())
    if how == "deeper":
        return json.dumps({"dataset": {"result": value}, "note": None})
    if how == "table":
        lines = (f"| {name} | {json.dumps(_value(part))} |" for name, part in value.items())
        return "| field | value |\n|---|---|\n" + "\n".join(lines)
    return None


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
    changes: dict[str, Callable[[Any], Any]] = {
        "typo": lambda part: [_typo(one) for one in part] if isinstance(part, list) else _typo(part),
        "nulls": lambda _part: None,
        "wrong_slug": lambda part: ["no-such-slug"] if isinstance(part, list) else "no-such-slug",
        "bare_string": lambda part: part[0] if isinstance(part, list) and part else "not_stated",
        "list_for_string": lambda part: [part],
    }
    return {**value, name: _each_value(value[name], changes[how])}


def _typo(slug: Any) -> Any:
    """With two letters in the middle changed over, where it is long enough to be recognized."""
    if not isinstance(slug, str) or len(slug) < 9:
        return slug
    at = len(slug) // 2
    return slug[:at] + slug[at + 1] + slug[at] + slug[at + 2 :]


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
