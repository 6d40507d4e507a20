"""Score the slugs of a taxonomy by a lexicon of phrases, read in zones of a card.

The zones and their weights (title 2, first two paragraphs 1.5, tags 1, rest of the body .35) were measured on cards
with reference labels. A slug that the lexicon does not know (a user's own taxonomy) is scored by the words of its
description.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from taxonomy.model import Field, Taxonomy

LEXICON = Path(__file__).with_name("lexicon.json")

TITLE, HEAD, TAGS, BODY = 2.0, 1.5, 1.0, 0.35
#: More of the body than this brings no better scores.
BODY_CHARS = 3_000
_HEAD_PARAGRAPHS = 2
_HEAD_CHARS = 1_200
_MOST = 3.0
_DESCRIBED = 0.6
_FLAG_SLUGS = ("true", "false")
_TOKEN = re.compile(r"[a-z0-9]+(?:\+\+|#)?")
_TAG_KINDS = ("task_categories:", "task_ids:", "modality:")

Stems = tuple[str, ...]
"""A phrase: its words without plurals."""


@dataclass(slots=True)
class Evidence:
    """Evidence for a field: the support of each slug, and the place of its strongest phrase in the stripped body.

    A slug whose support is no more than `threshold` does not count as said.
    """

    threshold: float
    support: dict[str, float]
    spans: dict[str, tuple[int, int]]


@dataclass(slots=True)
class _Rules:
    """A compiled lexicon. `targets`: for each phrase, (field, slug, weight)."""

    targets: dict[Stems, list[tuple[str, str, float]]] = field(default_factory=lambda: defaultdict(list))
    tags: dict[str, list[tuple[str, str, float]]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[str, list[Stems]] = field(default_factory=lambda: defaultdict(list))
    thresholds: dict[str, float] = field(default_factory=dict)


def score(taxonomy: Taxonomy, title: str, tags: tuple[str, ...], text: str) -> Mapping[str, Evidence]:
    """Score every field of kind "one", "many" or "flag" (slugs "true" and "false"). `text` is stripped."""
    rules = _compiled(taxonomy)
    found = {
        f.name: Evidence(rules.thresholds[f.name], dict.fromkeys(slugs_of(f), 0.0), {})
        for f in taxonomy
        if f.kind != "open"
    }
    counts: dict[Stems, float] = defaultdict(float)
    places: dict[Stems, tuple[int, int]] = {}
    for phrase, _, _ in _phrases(rules, title):
        counts[phrase] += TITLE
    head = head_end(text)
    for phrase, start, end in _phrases(rules, text[: max(head, BODY_CHARS)]):
        counts[phrase] += HEAD if start < head else BODY
        places.setdefault(phrase, (start, end))
    for tag in tags:
        for name, slug, weight in rules.tags.get(tag.lower(), ()):
            found[name].support[slug] += weight
        if ":" not in tag or tag.startswith(_TAG_KINDS):
            for phrase, _, _ in _phrases(rules, tag.split(":", 1)[-1]):
                counts[phrase] += TAGS
    strongest: dict[tuple[str, str], float] = {}
    for phrase, count in counts.items():
        strength = math.log1p(min(count, _MOST))
        for name, slug, weight in rules.targets[phrase]:
            gain = weight * strength
            found[name].support[slug] += gain
            if phrase in places and gain > strongest.get((name, slug), 0.0):
                strongest[name, slug] = gain
                found[name].spans[slug] = places[phrase]
    return found


def slugs_of(field: Field) -> tuple[str, ...]:
    """Slugs that are scored: those of the field, or "true" and "false" for a flag."""
    return _FLAG_SLUGS if field.kind == "flag" else field.names


def head_end(text: str) -> int:
    """Find where the first two paragraphs of prose end (a heading line is no paragraph)."""
    at, prose = 0, 0
    while prose < _HEAD_PARAGRAPHS and at < min(len(text), _HEAD_CHARS):
        end = text.find("\n\n", at)
        end = len(text) if end < 0 else end
        prose += end - at > 60
        at = end + 2
    return min(at, _HEAD_CHARS)


def _phrases(rules: _Rules, text: str) -> Iterator[tuple[Stems, int, int]]:
    """Every phrase of the lexicon in a text, with its offsets."""
    lowered = text.lower()
    if len(lowered) != len(text):
        # A few capitals grow when lowered; offsets must hold.
        lowered = "".join(low if len(low := c.lower()) == 1 else c for c in text)
    matches = list(_TOKEN.finditer(lowered))
    tokens = [_stem(match.group()) for match in matches]
    for at, token in enumerate(tokens):
        for phrase in rules.starts.get(token, ()):
            if tuple(tokens[at : at + len(phrase)]) == phrase:
                yield phrase, matches[at].start(), matches[at + len(phrase) - 1].end()


@lru_cache(maxsize=65536)
def _stem(token: str) -> str:
    return token[:-1] if len(token) > 3 and token[-1] == "s" and token[-2] != "s" else token


@lru_cache(maxsize=8)
def _compiled(taxonomy: Taxonomy) -> _Rules:
    rules = _Rules()
    fields = _data()["fields"]
    for f in taxonomy:
        if f.kind == "open":
            continue
        known = fields.get(f.name, {"threshold": 0.0, "slugs": {}})
        rules.thresholds[f.name] = known["threshold"]
        unknown = []
        for slug in slugs_of(f):
            if slug not in known["slugs"]:
                unknown.append(slug)
            for weight, phrases in known["slugs"].get(slug, {}).items():
                for phrase in phrases:
                    _add(rules, phrase, (f.name, slug, float(weight)))
        if f.kind != "flag":
            _describe(rules, f, unknown)
    for phrase in rules.targets:
        rules.starts[phrase[0]].append(phrase)
    return rules


def _add(rules: _Rules, phrase: str, target: tuple[str, str, float]) -> None:
    if phrase.startswith("tag="):
        rules.tags[phrase.removeprefix("tag=")].append(target)
    elif tokens := tuple(_stem(token) for token in _TOKEN.findall(phrase.lower())):
        rules.targets[tokens].append(target)


def _describe(rules: _Rules, f: Field, unknown: list[str]) -> None:
    """Score slugs without a lexicon by their own words; a word of several slugs tells less."""
    described = [
        slug for slug in f.slugs if slug.slug in unknown and slug.slug not in {"other", "not_stated", "not_applicable"}
    ]
    words = {
        slug.slug: {_stem(w) for w in _TOKEN.findall(f"{slug.slug} {slug.description}".lower())} - _stop()
        for slug in described
    }
    for slug in described:
        own = {_stem(w) for w in _TOKEN.findall(slug.slug)}
        for word in sorted(words[slug.slug]):
            shared = sum(word in others for others in words.values())
            weight = (3.0 if word in own else 1.0) * _DESCRIBED / shared
            rules.targets[word,].append((f.name, slug.slug, weight))


def _stop() -> frozenset[str]:
    return frozenset(_data()["stop"])


@lru_cache(maxsize=1)
def dull_words() -> frozenset[str]:
    """Words that tell no sentence of a card from another, lower case."""
    return frozenset(_data()["dull"])


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    """The data file: {"fields": {field: {threshold, slugs}}, "stop": [...], "dull": [...]}."""
    content: dict[str, Any] = json.loads(LEXICON.read_text(encoding="utf-8"))
    return content
