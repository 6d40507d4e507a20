"""Candidates for a topic's name, made from its key phrases, languages and most typical title."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from render.topics.documents import TopicDocument
from render.topics.keyphrases import Key, Phrase, Vocabulary, key_of
from render.topics.wording import clean, display, title_case
from render.topics.words import (
    ADJECTIVES,
    GENERIC_TASKS,
    NON_ENGLISH,
    SHAPELESS,
    SHORT_NAMES,
    UPPER_WORDS,
    same,
    spelled_out,
)

MOST_LOCAL_WORDS = 4
"""Words of a name made here, "&" counted as one; a model's name may be longer."""

# Coverage of a group that its name is to have; below it, a second phrase joins the first.
_ENOUGH = 0.45
# A subject is wide: a task with so much of a subject's score, and so rare elsewhere, goes before it.
_NEAR = 0.45
_AS_RARE = 0.7
# A word that is in the titles of so many of its datasets is what they are called, not just said of them.
_OFTEN_TITLED = 0.3
_SELDOM_TITLED = 0.1
# A product's name is a topic's only where it is so much commoner than elsewhere.
_MUCH_COMMONER = 5
# A subject joins a task ("Medical Question Answering") where so many have either.
_BOTH = 0.4
_REST = re.compile(r"^(?:Other|More|Further) ")
# Below every score, and above having no name.
_LATER = 1e-3
# A phrase of which so much is written in capitals is the name of a product, not of a subject.
_COMMON = 0.25
# A language is part of a name if so many of a group's datasets have it.
_LANGUAGE_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class NameCandidate:
    """A possible name of a topic: the higher its score, the better it fits."""

    text: str
    key: Key
    score: float


@dataclass(frozen=True, slots=True)
class Marks:
    """What sets a group apart besides phrases: its language, or the family of its languages."""

    language: str | None
    family: str | None


def candidates(
    phrases: Sequence[Phrase], marks: Marks, apart: Callable[[Phrase, Phrase], bool]
) -> Iterator[NameCandidate]:
    """Possible names of a group, best first. `apart` tells whether two phrases are of different documents."""
    fit = _fitting(phrases)
    if not fit:
        return
    best = fit[0]
    found = [*_with_languages(best, phrases, marks)]
    for phrase in fit[1:6]:
        if best.coverage < _ENOUGH and phrase.coverage > 0.5 * best.coverage and apart(best, phrase):
            both = _both(best, phrase)
            if both is not None:
                found.append(replace(both, score=best.score * 1.1))
                break
    found += [NameCandidate(display(phrase), phrase.key, phrase.score) for phrase in fit]
    found += _of_subject_and_task(fit)
    for phrase in fit[1:6]:
        both = _both(best, phrase) if apart(best, phrase) else None
        if both is not None:
            found.append(replace(both, score=0.5 * phrase.score))
    yield from (candidate for candidate in found if len(candidate.text.split()) <= MOST_LOCAL_WORDS)


def _fitting(phrases: Sequence[Phrase]) -> list[Phrase]:
    """The phrases that can stand on the map by themselves, each scored by how well it would, best first."""
    weighed = [replace(p, score=score) for p in phrases if (score := p.score * _weight(p)) > 0]
    weighed.sort(key=lambda p: (-p.score, p.key))
    fit: list[Phrase] = []
    shown: set[str] = set()
    for phrase in weighed:
        if display(phrase) not in shown:
            shown.add(display(phrase))
            fit.append(phrase)
    if not fit or not fit[0].is_subject:
        return fit
    subject = fit[0]
    task = next((p for p in fit if p.is_task and not p.is_subject and p.key not in GENERIC_TASKS), None)
    if task is not None and task.score >= _NEAR * subject.score and task.lift >= _AS_RARE * subject.lift:
        fit = [replace(task, score=subject.score), *(p for p in fit if p is not task)]
    return fit


def _with_languages(best: Phrase, phrases: Sequence[Phrase], marks: Marks) -> Iterator[NameCandidate]:
    """Names of a group that its language, or the family of its languages, sets apart."""
    if marks.language is not None:
        if marks.language.lower() not in best.key:
            for text in (display(best), SHORT_NAMES.get(best.key, "")):
                if text and len(text.split()) < MOST_LOCAL_WORDS:
                    yield NameCandidate(
                        f"{marks.language} {text}", (marks.language.lower(), *best.key), best.score * 1.2
                    )
                    return
        return
    task = next((p for p in phrases if _is_broad_task(p)), best)
    if marks.family is None or not task.is_task or task.is_subject:
        return
    # The task may be that of the topic around, which then counts little: the languages are what is told apart.
    key, score = (*task.key, *marks.family.lower().split()), max(best.score * 1.1, 0.5 * task.coverage)
    for name in (display(task), SHORT_NAMES.get(task.key, display(task))):
        text = f"{NON_ENGLISH} {name}" if marks.family == NON_ENGLISH else f"{name}: {marks.family} Languages"
        if len(text.split()) <= MOST_LOCAL_WORDS:
            yield NameCandidate(text, key, score)
            return


def _of_subject_and_task(fit: Sequence[Phrase]) -> Iterator[NameCandidate]:
    """ "Medical Question Answering", "Financial Sentiment Analysis": narrower than either, for want of better."""
    subject = next((p for p in fit if p.is_subject and p.key in ADJECTIVES and p.coverage >= _BOTH), None)
    task = next((p for p in fit if p.is_task and not p.is_subject and p.coverage >= _BOTH), None)
    if subject is not None and task is not None and task.key[-1] != "generation":
        text = f"{ADJECTIVES[subject.key]} {display(task)}"
        yield NameCandidate(text, (*subject.key, *task.key), 0.7 * subject.score)


def _both(first: Phrase, second: Phrase) -> NameCandidate | None:
    """A name of two tasks, if they share no word and are short enough together."""
    if not all(p.is_task and not p.is_subject and p.key not in GENERIC_TASKS for p in (first, second)):
        return None
    if set(spelled_out(first.key)) & set(spelled_out(second.key)) or same(first.key, second.key):
        return None
    names = [(display(p), SHORT_NAMES.get(p.key, display(p))) for p in (first, second)]
    for left, right in ((0, 0), (1, 0), (0, 1), (1, 1)):
        text = f"{names[0][left]} & {names[1][right]}"
        if len(text.split()) <= MOST_LOCAL_WORDS and not set(key_of(names[0][left])) & set(key_of(names[1][right])):
            return NameCandidate(text, (*first.key, *second.key), first.score)
    return None


def _weight(phrase: Phrase) -> float:
    """How fit a phrase is to be a name, 0 to 1: it must hold for much of the group and be no word of a sentence."""
    if phrase.key in SHAPELESS or (not phrase.is_task and any(c.isdigit() for c in phrase.text)):
        return 0.0
    if phrase.is_subject:
        return _step(phrase.coverage, (0.55, 1.0), (0.25, 0.5), (0.15, 0.2))
    if phrase.is_task:
        if phrase.key in GENERIC_TASKS:
            return _step(phrase.coverage, (0.3, GENERIC_TASKS[phrase.key]))
        return _step(phrase.coverage, (0.3, 1.0), (0.15, 0.2), (0.1, 0.05))
    if phrase.common < _COMMON and phrase.text.lower() not in UPPER_WORDS:
        # What is always written with a capital is a product or an organisation: better than no name, and no more.
        return _step(phrase.coverage, (0.6, 0.1)) if phrase.lift >= _MUCH_COMMONER else 0.0
    called = phrase.titled >= _OFTEN_TITLED and len(phrase.text) > 2
    if len(phrase.key) == 1:
        # One word is a name if datasets are called by it, or if nearly all have it in the plural; else it may be a verb.
        plural = phrase.text.lower() != phrase.key[0] and phrase.titled > 0 and phrase.lift >= 3
        return _step(phrase.coverage, (0.6, 1.0), (0.4, 0.6), (0.25, 0.2)) if plural or called else 0.0
    if phrase.titled < _SELDOM_TITLED:
        return _step(phrase.coverage, (0.8, 1.0), (0.35, 0.6), (0.25, 0.3), (0.2, 0.1))
    return _step(phrase.coverage, (0.35, 1.0), (0.25, 0.4), (0.2, 0.1))


def _step(coverage: float, *steps: tuple[float, float]) -> float:
    """The weight of the first step that a coverage reaches, 0 below all."""
    return next((weight for least, weight in steps if coverage >= least), 0.0)


def language_of(members: Sequence[TopicDocument], documents: Sequence[TopicDocument]) -> str | None:
    """The language of a group, where most of it has one and most of the rest has another."""
    language, count = Counter(d.language for d in members).most_common(1)[0]
    if not language or language in ("English", "Multilingual") or count < _LANGUAGE_SHARE * len(members):
        return None
    everywhere = sum(d.language == language for d in documents) / len(documents)
    return language if everywhere < 0.5 else None


def family_of(members: Sequence[int], families: Sequence[Mapping[str, float]]) -> str | None:
    """The family of languages of a group, the narrowest that most of it has and few others have."""
    inside: Counter[str] = Counter()
    everywhere: Counter[str] = Counter()
    for member in members:
        inside.update(families[member])
    for shares in families:
        everywhere.update(shares)

    def fits(family: str, lift: float) -> bool:
        share = inside[family] / len(members)
        return share >= _LANGUAGE_SHARE and share >= lift * everywhere[family] / len(families)

    fit = [family for family in inside if family != NON_ENGLISH and fits(family, 2.0)]
    others = NON_ENGLISH if fits(NON_ENGLISH, 1.5) else None
    return min(fit, key=lambda family: (everywhere[family], family), default=others)


def apart(vocabulary: Vocabulary, members: NDArray[np.bool_], first: Phrase, second: Phrase) -> bool:
    """Whether most of a group's documents with the second phrase lack the first."""
    lacking = members.copy()
    lacking[vocabulary.rows_of(first.column)] = False
    inside = vocabulary.rows_of(second.column)
    inside = inside[members[inside]]
    return bool(lacking[inside].mean() > 0.5) if len(inside) else False


def _is_broad_task(phrase: Phrase) -> bool:
    return (
        phrase.is_task
        and not phrase.is_subject
        and phrase.coverage >= _ENOUGH
        and phrase.key not in GENERIC_TASKS.keys() | SHAPELESS
    )


def last_resort(title: str, above: str | None) -> Iterator[NameCandidate]:
    """Names for a group without a phrase of its own: after the topic around it, or its exemplar.

    Several, so that as many groups of one topic need no numbers to be told apart.
    """
    if above is not None:
        whole = re.split(r" & |: ", _REST.sub("", above))[0]
        whole = " ".join(whole.split()[1 - MOST_LOCAL_WORDS :])
        for place, word in enumerate(("Other", "More", "Further")):
            yield NameCandidate(f"{word} {whole}", key_of(whole), -_LATER * place)
        return
    words = [w for w in clean(title).split() if w.lower() not in ("dataset", "the", "corpus")]
    in_words = len(words) > 1 and all(w.replace("-", "").isalpha() for w in words)
    name = title_case(" ".join(words[:MOST_LOCAL_WORDS])) if in_words else "Various"
    yield NameCandidate(name, key_of(name), 0.0)
