"""What the model's double says: valid answers to extraction, summary and topic-name requests."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.services.faults import chance

_WORD = re.compile(r"[A-Za-z][A-Za-z-]{3,}")
_COMMON = (
    "this that with from have been were which their each also into more than dataset datasets data card "
    "cards here name names group groups information about include includes sample following format based "
    "provide recall output keywords subtopics original topic topics text value none null true false https http "
    # Nor words that a summary may not use.
    "high-quality large-scale robust unique powerful comprehensive rich premium innovative exciting"
)
_VAGUE = ("data", "text", "multi", "domain", "general", "media", "form", "based")
_STOP = frozenset(_COMMON.split())
_SILENT = ("not_stated", "not_applicable", "other")
_KEYWORDS = re.compile(r"Keywords for this group include: (?P<words>.+)")
_OLD_NAME = re.compile(r'^"(?P<old>\d+\. .*)":$', re.MULTILINE)
_BOUNDARY = re.compile(r"^(?P<mark>[=~#*-]{4,} ?\w.*)\n(?P<inside>(?s:.*))\n(?P=mark)$", re.MULTILINE)
_TAGS = re.compile(r"^<(?P<tag>[\w-]+)[^>\n]*>\n(?P<inside>(?s:.*))\n</(?P=tag)>", re.MULTILINE)
MOST_QUOTE_WORDS = 20
EXTRACTION_MARKS = ("provenance_method", "subject_domain", "training_stage", "format_convention")


@dataclass(frozen=True, slots=True)
class Question:
    """A request to the model, taken apart.

    `user` is the first user message, which carries the card also when a later one asks to mend an answer;
    `turn` is the number of user messages. `schema` is the wanted answer's.
    """

    system: str
    user: str
    schema: dict[str, Any] | None
    turn: int = 1

    @property
    def card(self) -> str:
        """The card in the user message: between two equal boundary lines or tags, else all of it."""
        fenced = _BOUNDARY.search(self.user) or _TAGS.search(self.user)
        return fenced["inside"] if fenced else self.user

    @property
    def kind(self) -> str:
        """extract, summarize, topic or message: by the schema's properties, else by the instructions."""
        if self.schema is not None:
            names = set(_resolve(self.schema, self.schema).get("properties", {}))
            if names & set(EXTRACTION_MARKS):
                return "extract"
            if any("topic" in name for name in names) or names & {"name", "names"}:
                return "topic"
            if names & {"summary", "tldr", "sentence"}:
                return "summarize"
            return "extract"
        instructions = self.system or self.user
        if any(mark in instructions for mark in EXTRACTION_MARKS):
            return "extract"
        if "topic_name" in instructions or "topic name" in instructions.lower():
            return "topic"
        return "summarize" if "summar" in instructions.lower() else "message"


def answer(question: Question) -> str:
    """A valid answer; the same for the same question."""
    kind = question.kind
    if question.schema is not None:
        return json.dumps(_fill(question.schema, question.schema, "", question))
    if kind == "topic":
        return json.dumps(_topic(question))
    if kind == "summarize":
        return json.dumps({"summary": summary(question.card)})
    if kind == "extract":
        return json.dumps(_extraction_by_prompt(question))
    return "Yes."


def summary(card: str) -> str:
    """One sentence of at most 25 words that opens with a noun phrase."""
    words = _top_words(card, 4)
    subject = f"{words[0].capitalize()} records about {', '.join(words[1:-1])} and {words[-1]}"
    return f"{subject}, collected for training and evaluating models."


def quote(card: str, salt: str) -> str:
    """A verbatim span of the card: up to 20 words of one line, which one depends on the salt."""
    body = card.split("\n---\n", 1)[-1] if card.lstrip().startswith("---") else card
    lines = [line for line in body.split("\n") if len(line.split()) >= 4] or [line for line in card.split("\n") if line]
    if not lines:
        return "not_stated"
    line = lines[int(chance("quote", salt, card[:200]) * len(lines))]
    spans = list(re.finditer(r"\S+", line))[:MOST_QUOTE_WORDS]
    return line[spans[0].start() : spans[-1].end()] if spans else "not_stated"


def _top_words(text: str, count: int) -> list[str]:
    counted = Counter(word.lower() for word in _WORD.findall(text) if word.lower() not in _STOP)
    words = [word for word, _ in counted.most_common(count)]
    return words + ["text", "labels", "samples", "notes"][: count - len(words)]


def _topic(question: Question) -> dict[str, Any]:
    old_names = [match["old"] for match in _OLD_NAME.finditer(question.user)]
    keywords = [match["words"].split(", ") for match in _KEYWORDS.finditer(question.user)]
    if old_names:
        mapping = {}
        for at, old in enumerate(old_names):
            words = keywords[at] if at < len(keywords) else []
            mapping[old] = _name(words[at : at + 4] or words) or f"{old.partition('. ')[2]} {at + 1}"
        return {"new_topic_name_mapping": mapping, "topic_specificities": [0.7] * len(old_names)}
    words = keywords[0] if keywords else _top_words(question.user, 3)
    return {"topic_name": _name(words) or "Mixed Data", "topic_specificity": 0.8}


def _name(phrases: list[str]) -> str:
    """Up to three different words of the phrases, capitalized."""
    words = dict.fromkeys(word.lower() for phrase in phrases for word in phrase.split())
    return " ".join(word.capitalize() for word in list(words)[:3])


def _fill(schema: dict[str, Any], root: dict[str, Any], name: str, question: Question) -> Any:
    """A value that fits the schema; `name` is the property it is for."""
    schema = _resolve(schema, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return _pick(schema["enum"], name, question.card)
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            options = [option for option in schema[union] if option.get("type") != "null"]
            return _fill(options[0], root, name, question) if options else None
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    if kind == "object":
        return _fill_object(schema, root, name, question)
    if kind == "array":
        return _fill_list(schema, root, name, question)
    if kind == "boolean":
        return "benchmark" in question.card.lower()
    if kind in ("number", "integer"):
        return schema.get("minimum", 0) if kind == "integer" else 0.8
    return _fill_text(name, question)


def _fill_object(schema: dict[str, Any], root: dict[str, Any], name: str, question: Question) -> Any:
    properties: dict[str, Any] = schema.get("properties", {})
    if not properties and "new_topic_name_mapping" in name:
        return _topic(question).get("new_topic_name_mapping", {})
    # Inside {"value": …, "quote": …} the enclosing field's name says more than "value" does.
    return {
        key: _fill(part, root, f"{name}.{key}" if key in ("value", "quote", "evidence") else key, question)
        for key, part in properties.items()
    }


def _fill_list(schema: dict[str, Any], root: dict[str, Any], name: str, question: Question) -> list[Any]:
    items = _resolve(schema.get("items", {"type": "string"}), root)
    if "enum" in items:
        fitting = [one for one in items["enum"] if one not in _SILENT and _overlap(one, question.card)][:2]
        if fitting or not schema.get("minItems"):
            silent = [slug for slug in items["enum"] if slug == "not_stated"]
            return fitting or silent
        return [_pick(items["enum"], name, question.card)]
    if items.get("type") == "string" and "quote" not in name:
        return ["not_stated"]
    return [_fill(items, root, name, question)]


def _fill_text(name: str, question: Question) -> str:
    last = name.rpartition(".")[2].lower()
    if "quote" in last or "evidence" in last:
        return quote(question.card, name)
    if last in ("summary", "tldr", "sentence"):
        return summary(question.card)
    if "topic" in last or last == "name":
        return str(_topic(question).get("topic_name", "Mixed Data"))
    return "not_stated"


def _pick(slugs: list[Any], name: str, card: str) -> Any:
    """The value whose words the card uses most; by chance of the card where it uses none."""
    scores = {slug: _overlap(str(slug), card) for slug in slugs if slug not in _SILENT}
    best = max(scores.values(), default=0)
    fitting = [slug for slug, score in scores.items() if score == best] or slugs
    return fitting[int(chance("pick", name, card) * len(fitting))]


def _overlap(slug: str, card: str) -> int:
    lower = card.lower()
    return sum(lower.count(word) for word in re.split(r"[-_]", slug) if len(word) > 3 and word not in _VAGUE)


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """The schema that a $ref leads to, or itself."""
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _extraction_by_prompt(question: Question) -> dict[str, Any]:
    """An extraction without a schema: the fields and slugs that the instructions list as `slug` or - slug."""
    chosen: dict[str, Any] = {}
    for mark in EXTRACTION_MARKS:
        section = question.system.partition(mark)[2][:4000]
        slugs = re.findall(
            r"^\s*[-*]\s+[`\"]?([a-z0-9_]+(?:[-_][a-z0-9]+)*)[`\"]?\s*(?:[:—–-]|$)", section, re.MULTILINE
        )
        value = _pick(slugs, mark, question.card) if slugs else "not_stated"
        chosen[mark] = {
            "value": [value] if mark == "training_stage" else value,
            "quote": quote(question.card, mark),
        }
    return chosen
