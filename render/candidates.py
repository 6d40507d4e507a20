"""Names that a group could have, made from its key phrases, languages and most typical title."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from render.keyphrases import Key, Phrase, Vocabulary, key_of, same, spelled_out
from render.languages import NON_ENGLISH
from render.topic_documents import Document
from render.wording import MOST_WORDS, clean, display
from render.wordlists import GENERIC_TASKS, SHAPELESS, SHORT_NAMES

_MOST_LOCAL_WORDS = 4

# Coverage of a group that its name is to have; below it, a second phrase joins the first.
_ENOUGH = 0.45
# A subject, wide as it is, is a name where so many have it.
_MOST = 0.55
# …and no task comes near it: a task with so much of a subject's score, and so rare elsewhere, goes before it.
_NEAR = 0.45
_AS_RARE = 0.7
# A word that is in the titles of so many of its datasets is what they are called, not just said of them.
_OFTEN_TITLED = 0.3
# A language is part of a name if so many of a group's datasets have it.
_LANGUAGE_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible name of a topic: the higher its score, the better it fits."""

    text: str
    key: Key
    score: float


@dataclass(frozen=True, slots=True)
class Marks:
    """What sets a group apart besides phrases: its language, or the family of its languages."""

    language: str | None
    family: str | None


def candidates(phrases: Sequence[Phrase], marks: Marks, apart: Callable[[Phrase, Phrase], bool]) -> Iterator[Candidate]:
    """Possible names of a group, best first. `apart` tells whether two phrases are of different documents."""
    language = marks.language
    fit: list[Phrase] = []
    for phrase in phrases:
        if _names_something(phrase) and display(phrase) not in {display(f) for f in fit}:
            fit.append(phrase)
    if not fit:
        return
    tasks = [p for p in fit if p.is_task and not p.is_subject and p.key not in GENERIC_TASKS]
    subject = fit[0]
    if (
        subject.is_subject
        and tasks
        and tasks[0].score >= _NEAR * subject.score
        and tasks[0].lift >= _AS_RARE * subject.lift
    ):
        fit = [replace(tasks[0], score=fit[0].score), *(p for p in fit if p is not tasks[0])]
    best = fit[0]
    if language is not None and len(best.key) < _MOST_LOCAL_WORDS and language.lower() not in best.key:
        yield Candidate(f"{language} {display(best)}", (language.lower(), *best.key), best.score * 1.2)
    task = next((p for p in phrases if _is_broad_task(p)), best)
    if language is None and marks.family is not None and task.is_task and len(display(task).split()) <= MOST_WORDS - 3:
        # The task may be that of the topic around, which then counts little: the languages are what is told apart.
        text = f"{display(task)}: {marks.family} Languages"
        if marks.family == NON_ENGLISH:
            text = f"{NON_ENGLISH} {display(task)}"
        yield Candidate(text, (*task.key, *marks.family.lower().split()), max(best.score * 1.1, 0.5 * task.coverage))
    for phrase in fit[1:4]:
        if best.coverage < _ENOUGH and phrase.coverage > 0.5 * best.coverage and apart(best, phrase):
            both = _both(best, phrase, _MOST_LOCAL_WORDS + 1)
            if both is not None:
                yield replace(both, score=best.score * 1.1)
                break
    for phrase in fit:
        yield Candidate(display(phrase), phrase.key, phrase.score)
    for phrase in fit[1:6]:
        both = _both(best, phrase, MOST_WORDS) if apart(best, phrase) else None
        if both is not None:
            yield replace(both, score=0.5 * phrase.score)


def _both(first: Phrase, second: Phrase, most_words: int) -> Candidate | None:
    """A name of two phrases, if they share no word and are short enough together."""
    text = " & ".join(SHORT_NAMES.get(p.key, display(p)) for p in (first, second))
    if not all(p.is_task or p.titled >= _OFTEN_TITLED for p in (first, second)):
        return None
    if GENERIC_TASKS & {first.key, second.key} or first.is_subject or second.is_subject:
        return None
    alike = set(spelled_out(first.key)) & set(spelled_out(second.key)) or same(first.key, second.key)
    if alike or len(text.split()) > most_words:
        return None
    return Candidate(text, (*first.key, *second.key), first.score)


def _names_something(phrase: Phrase) -> bool:
    """Whether a phrase can stand on the map by itself, rather than being a word of a sentence."""
    if phrase.key in SHAPELESS:
        return False
    if phrase.is_task:
        return phrase.coverage >= (_MOST if phrase.is_subject else 0.1)
    if any(c.isdigit() for c in phrase.text):
        return False
    if len(phrase.key) == 1:
        # One word is a name if datasets are called by it, or if nearly all have it in the plural; else it may be a verb.
        plural = phrase.text.lower() != phrase.key[0] and phrase.titled > 0
        return (plural and phrase.coverage >= 0.6 and phrase.lift >= 3) or (
            phrase.titled >= _OFTEN_TITLED and phrase.coverage >= 0.2 and len(phrase.text) > 2
        )
    return phrase.coverage >= (0.15 if phrase.titled >= 0.1 else 0.25)


def language_of(members: Sequence[Document], documents: Sequence[Document]) -> str | None:
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
    return phrase.is_task and phrase.coverage >= _ENOUGH and phrase.key not in GENERIC_TASKS | SHAPELESS


def last_resort(title: str, above: str | None) -> Candidate:
    """A name for a group without a phrase of its own: after its exemplar, if that has a title in words."""
    words = [w for w in clean(title).split() if w.lower() not in ("dataset", "the", "corpus")]
    in_words = len(words) > 1 and all(w.replace("-", "").isalpha() for w in words)
    if above is not None and not in_words:
        name = f"Other {above}" if len(above.split()) < MOST_WORDS and not above.startswith("Other ") else above
        return Candidate(name, key_of(name), 0.0)
    return Candidate(" ".join([*(words or ["Others"])[: _MOST_LOCAL_WORDS - 1], "and Similar"]), key_of(title), 0.0)
