"""Extract fields and summarize a card without a language model: by rules and a small linear model.

Where the linear model knows a field, it decides, having the rules' scores among its features; elsewhere (lists and
names, other taxonomies, cards of a few words) the rules do. Always gives a value that the taxonomy allows, whatever
the taxonomy; where the card says too little, the value that says so.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import MappingProxyType

from taxonomy.answers.quotes import clip_span
from taxonomy.card import CardInput
from taxonomy.cardtext import StrippedText, strip_mapped
from taxonomy.keyless import entities, lexicon, linear, summary
from taxonomy.model import ABSTENTIONS, Extraction, Field, FieldValue, Taxonomy, Value, load

MODEL = "hfmap-rules"
"""The name that results of the rules carry where others carry a model's."""

_PROBE_CHARS = 40_000
#: Brings the mean confidence near the share that agrees, on cards and on summaries with reference labels.
_TEMPERATURE = 2.3
#: A further slug of a list must score at least this share of the first.
_ALSO = 0.82
_MOST_OF_LIST = 3
_SURE_OF_NOTHING = 0.3
#: A less probable slug is not worth saying.
_LEAST = 0.22
#: The linear model is asked about cards with a task, or with at least so many words that it knows.
_ENOUGH_WORDS = 8
#: A further training stage must be at least so probable beside the first.
_ALSO_STAGE = 0.6


def extract(card: CardInput, taxonomy: Taxonomy, model: linear.LinearModel | None = None) -> Extraction:
    """Extract a value for every field, with a confidence (0–1) and, where there is one, a verbatim quote of `card.text`.

    `model` is the linear model to ask; by default the one that ships with hfmap.
    """
    stripped = _stripped(card.text)
    evidence = lexicon.score(taxonomy, card.title, card.tags, stripped.text)
    likely = _Likely(model or linear.load(), linear.features(card.title, card.tags, stripped.text, evidence))
    values: dict[str, FieldValue] = {}
    for field in taxonomy:
        if likely.speaks_for(field):
            values[field.name] = likely.value(field, evidence[field.name], stripped)
        elif field.kind == "open":
            values[field.name] = _open(field, stripped)
        elif field.kind == "flag":
            values[field.name] = _flag(field, evidence[field.name], stripped)
        else:
            values[field.name] = _slugs(field, evidence[field.name], stripped)
    return MappingProxyType(values)


def summarize(card: CardInput) -> str:
    """Summarize a card in one sentence of at most 25 words: its own, rewritten at its opening; never empty."""
    return summary.best_line(_stripped(card.text).text, card.title, card.tags)


@lru_cache(maxsize=4)
def _stripped(text: str) -> StrippedText:
    # Fields and summary are asked for one after the other.
    return strip_mapped(text[:_PROBE_CHARS])


class _Likely:
    """What the linear model says of one card."""

    def __init__(self, model: linear.LinearModel, card: linear.CardFeatures) -> None:
        self._model = model
        self._card = card
        enough = card.has_task or sum(word in model.word_index for word in card.words) >= _ENOUGH_WORDS
        self._found = model.probabilities(card) if enough else {}

    def speaks_for(self, field: Field) -> bool:
        """Whether the model was trained on this very field and the card says enough for it."""
        return field.name in self._found and trained_fields().get(field.name) == _shape(field)

    def value(self, field: Field, evidence: lexicon.Evidence, stripped: StrippedText) -> FieldValue:
        """The likeliest value with its proof; `not_stated` where even that is unlikely."""
        ranked = sorted(self._found[field.name].items(), key=lambda pair: (-pair[1], pair[0]))
        slug, probability = ranked[0]
        if field.kind == "flag":
            value: Value = slug == "true"
        elif probability < _LEAST:
            return _nothing(field, slug)
        elif field.kind == "one":
            value = slug
        else:
            also = [s for s, p in ranked[1:_MOST_OF_LIST] if p >= _ALSO_STAGE * probability and s not in field.alone]
            value = (slug, *also) if slug not in field.alone else (slug,)
        confidence = round(probability, 3)
        if slug in ABSTENTIONS:
            return FieldValue(value, confidence=confidence)
        place = evidence.spans.get(slug) or self._model.telling(self._card, field.name, slug)
        quote = _quote(stripped, place) if place else (None, False, None, None)
        return FieldValue(value, *quote, confidence=confidence)


@lru_cache(maxsize=1)
def trained_fields() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Kind and slugs, by name, of the fields that the linear model may speak for: those of the packaged taxonomy."""
    return {field.name: _shape(field) for field in load()}


def _shape(field: Field) -> tuple[str, tuple[str, ...]]:
    return field.kind, field.names


def _slugs(field: Field, evidence: lexicon.Evidence, stripped: StrippedText) -> FieldValue:
    ranked = sorted(
        ((score, slug) for slug, score in evidence.support.items() if slug not in {"not_stated", "other"}),
        key=lambda pair: -pair[0],
    )
    said = [(score, slug) for score, slug in ranked if score > evidence.threshold]
    if field.kind == "many" and field.may_be_empty:
        chosen = [slug for _, slug in said[:_MOST_OF_LIST]]
        confidence = 0.5 if chosen else _SURE_OF_NOTHING
        return _found(tuple(chosen), chosen[:1], confidence, evidence, stripped)
    if not said:
        return _nothing(field, ranked[0][1] if ranked else None)
    confidence = _share([score for score, _ in ranked])
    top = said[0][0]
    if field.kind == "one":
        return _found(said[0][1], [said[0][1]], confidence, evidence, stripped)
    chosen = [slug for score, slug in said[:_MOST_OF_LIST] if score >= _ALSO * top]
    if chosen[0] in field.alone:
        chosen = chosen[:1]
    chosen = [slug for slug in chosen if slug not in field.alone] or chosen
    return _found(tuple(chosen), chosen[:1], confidence, evidence, stripped)


def _flag(field: Field, evidence: lexicon.Evidence, stripped: StrippedText) -> FieldValue:
    true, false = evidence.support["true"], evidence.support["false"]
    if true == false or max(true, false) <= evidence.threshold:
        return FieldValue(field.default if isinstance(field.default, bool) else False, confidence=_SURE_OF_NOTHING)
    return _found(true > false, ["true" if true > false else "false"], _share([true, false]), evidence, stripped)


def _open(field: Field, stripped: StrippedText) -> FieldValue:
    finder = {"geo_scope": entities.places, "upstream_models": entities.generators}.get(field.name)
    # What lies deep in a card is seldom about the whole of it.
    found = finder(stripped.text[: lexicon.BODY_CHARS]) if finder else {}
    value: Value = tuple(found)
    if not found or not field.allows(value):
        return _nothing(field, "not_stated")
    quote = _quote(stripped, next(iter(found.values())))
    return FieldValue(value, *quote, confidence=0.5)


def _nothing(field: Field, best: str | None) -> FieldValue:
    """What a silent card gets: not_stated, else the default, else the likeliest slug, with no confidence."""
    says_so = "not_stated" if "not_stated" in field.names or field.kind == "open" else None
    value: Value = field.default
    if value is None or says_so in field.names:
        slug = says_so or best
        value = slug if field.kind == "one" or slug is None else (slug,)
    return FieldValue(value, confidence=_SURE_OF_NOTHING if says_so else 0.0, problem="the card says too little")


def _found(
    value: Value, slugs: list[str], confidence: float, evidence: lexicon.Evidence, stripped: StrippedText
) -> FieldValue:
    place = next((evidence.spans[slug] for slug in slugs if slug in evidence.spans), None)
    if place is None:
        return FieldValue(value, confidence=round(confidence, 3))
    return FieldValue(value, *_quote(stripped, place), confidence=round(confidence, 3))


def _quote(stripped: StrippedText, place: tuple[int, int]) -> tuple[str | None, bool, int | None, int | None]:
    """The sentence round a place in the stripped text, verbatim from the raw card: (quote, verified, start, end)."""
    start, end = stripped.raw_span(*place)
    left, right = entities.sentence_around(stripped.raw, start, end)
    cut = clip_span(stripped.raw[left:right])
    if left + cut[1] < end:
        # The phrase lies beyond the first 25 words: begin the quote nearer to it.
        left = max(left, start - 60)
        left = start if stripped.raw.find(" ", left, start) < 0 else stripped.raw.find(" ", left, start) + 1
        cut = clip_span(stripped.raw[left:right])
    left, right = left + cut[0], left + cut[1]
    quote = stripped.raw[left:right]
    return (quote, True, left, right) if any(c.isalnum() for c in quote) else (None, False, None, None)


def _share(scores: list[float]) -> float:
    top = max(scores)
    return 1.0 / sum(math.exp((score - top) / _TEMPERATURE) for score in scores)
