"""Names of topics: made from key phrases where no model names them, and checked where one does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from render.clusters import Labels
from render.heavy import heavy
from render.keyphrases import Key, Phrase, Vocabulary, key_of, of_groups, same, spelled_out
from render.languages import NON_ENGLISH, family_shares
from render.topic_documents import Document
from render.wordlists import GENERIC_TASKS, LOWER_WORDS, SHAPELESS, SHORT_NAMES, TASK_NAMES, UPPER_WORDS

ONE_TOPIC = "All Datasets"
MOST_WORDS = 6
"""A longer name does not fit on the map."""
_MOST_LOCAL_WORDS = 4

# Coverage of a group that its name is to have; below it, a second phrase joins the first.
_ENOUGH = 0.45
# How much covering a group counts against being rare elsewhere: finest and coarsest layer.
_BREADTH = (0.75, 1.15)
# A part with so many of a topic's datasets is as good as the topic, and may bear its name.
_NEARLY_ALL = 0.8
# A task that says little names a part only where it is so much commoner than in the whole.
_COMMONER = 1.3
# A part in which the name of the whole is so much commoner than in the whole is its heart.
_HEART = 1.6
# A word that is in the titles of so many of its datasets is what they are called, not just said of them.
_OFTEN_TITLED = 0.3
# A language is part of a name if so many of a group's datasets have it.
_LANGUAGE_SHARE = 0.6

# A score above all others: names that stand.
_CERTAIN = 1e6

_SPACE = re.compile(r"\s+")
_EDGES = " \t\r\n\"'`*_#.:;,-–—"


@dataclass(frozen=True, slots=True)
class Naming:
    """A topic's name and the phrases it was chosen from, best first."""

    name: str
    key_phrases: list[str]


@dataclass(frozen=True, slots=True)
class _Candidate:
    text: str
    key: Key
    score: float


def name_layers(
    documents: Sequence[Document],
    vocabulary: Vocabulary,
    layers: Sequence[Labels],
    parents: Sequence[Sequence[tuple[int, int] | None]],
    exemplars: Callable[[int, int], int],
    kept: Mapping[tuple[int, int], str],
) -> list[list[Naming]]:
    """Name every topic of a tree from its key phrases.

    Args:
        documents: one a point.
        vocabulary: their phrases.
        layers: the groups, coarsest layer first.
        parents: as `render.clusters.parents` gives them.
        exemplars: the point most typical of the group (layer, group); it lends its title where nothing else does.
        kept: names that stand, by (layer, group).

    Returns:
        For each layer and group a name of one to six words, unlike all others of its layer.
    """
    if len(layers) == 1 and int(layers[0].max(initial=-1)) == 0:
        common = [p.text for p in _common(vocabulary, len(documents))]
        return [[Naming(kept.get((0, 0), ONE_TOPIC), common)]]
    named: list[list[Naming]] = []
    keys: list[list[Key]] = []
    families = [family_shares(d.languages) for d in documents]
    for depth, labels in enumerate(layers):
        share = depth / (len(layers) - 1) if len(layers) > 1 else 1.0
        breadth = _BREADTH[1] + (_BREADTH[0] - _BREADTH[1]) * share
        phrases_of = of_groups(vocabulary, labels, breadth=breadth)
        sizes = np.bincount(labels[labels >= 0], minlength=len(phrases_of))
        options: list[list[_Candidate]] = []
        for group, ranked in enumerate(phrases_of):
            phrases = ranked
            members = np.flatnonzero(labels == group).tolist()
            above = parents[depth][group]
            taken: Key | None = None
            if above is not None:
                around = layers[above[0]] == above[1]
                if sizes[group] < _NEARLY_ALL * int(around.sum()):
                    taken = keys[above[0]][above[1]]
                    phrases = _set_apart(phrases, vocabulary, around, taken)
            marks = _Marks(_language([documents[i] for i in members], documents), _family(members, families))
            found = list(_candidates(phrases, marks, partial(_apart, vocabulary, labels == group)))
            around_it = None if above is None else named[above[0]][above[1]].name
            found.append(_last_resort(documents[exemplars(depth, group)].title, around_it))
            if (depth, group) in kept:
                name = kept[depth, group]
                found = [_Candidate(name, key_of(name), float("inf"))]
            options.append(found)
        chosen = _assign(options)
        named.append([Naming(c.text, [p.text for p in ps[:16]]) for c, ps in zip(chosen, phrases_of, strict=True)])
        keys.append([c.key for c in chosen])
    return named


def _set_apart(
    phrases: Sequence[Phrase], vocabulary: Vocabulary, around: NDArray[np.bool_], taken: Key
) -> list[Phrase]:
    """Order a part's phrases by how much commoner they are in it than in the topic around it.

    The name of the topic around stays possible, as the last resort.
    """
    found = []
    for phrase in phrases:
        ratio = phrase.coverage / max(vocabulary.coverage(phrase.column, around), 0.01)
        factor = min(1.25, 0.5 * float(np.log2(1.0 + ratio)))
        if taken is not None and same(phrase.key, taken):
            # The whole is called after this part of it: better the same name again than a wrong one.
            factor = 0.4 if ratio >= _HEART else 0.1
        elif phrase.key in GENERIC_TASKS and ratio < _COMMONER:
            factor = 0.1
        if phrase.is_subject:
            factor *= 0.5
        found.append(replace(phrase, score=phrase.score * factor))
    return sorted(found, key=lambda p: (-p.score, p.key))


@dataclass(frozen=True, slots=True)
class _Marks:
    """What sets a group apart besides phrases: its language, or the family of its languages."""

    language: str | None
    family: str | None


def _candidates(
    phrases: Sequence[Phrase], marks: _Marks, apart: Callable[[Phrase, Phrase], bool]
) -> Iterator[_Candidate]:
    """Possible names of a group, best first. `apart` tells whether two phrases are of different documents."""
    language = marks.language
    fit: list[Phrase] = []
    for phrase in phrases:
        if _names_something(phrase) and display(phrase) not in {display(f) for f in fit}:
            fit.append(phrase)
    if not fit:
        return
    best = fit[0]
    if language is not None and len(best.key) < _MOST_LOCAL_WORDS and language.lower() not in best.key:
        yield _Candidate(f"{language} {display(best)}", (language.lower(), *best.key), best.score * 1.2)
    task = next((p for p in phrases if _is_broad_task(p)), best)
    if language is None and marks.family is not None and task.is_task and len(display(task).split()) <= MOST_WORDS - 3:
        # The task may be that of the topic around, which then counts little: the languages are what is told apart.
        text = f"{display(task)}: {marks.family} Languages"
        if marks.family == NON_ENGLISH:
            text = f"{NON_ENGLISH} {display(task)}"
        yield _Candidate(text, (*task.key, *marks.family.lower().split()), max(best.score * 1.1, 0.5 * task.coverage))
    for phrase in fit[1:4]:
        if best.coverage < _ENOUGH and phrase.coverage > 0.5 * best.coverage and apart(best, phrase):
            both = _both(best, phrase, _MOST_LOCAL_WORDS + 1)
            if both is not None:
                yield replace(both, score=best.score * 1.1)
                break
    for phrase in fit:
        yield _Candidate(display(phrase), phrase.key, phrase.score)
    for phrase in fit[1:6]:
        both = _both(best, phrase, MOST_WORDS) if apart(best, phrase) else None
        if both is not None:
            yield replace(both, score=0.5 * phrase.score)


def _both(first: Phrase, second: Phrase, most_words: int) -> _Candidate | None:
    """A name of two phrases, if they share no word and are short enough together."""
    text = " & ".join(SHORT_NAMES.get(p.key, display(p)) for p in (first, second))
    if not all(p.is_task or p.titled >= _OFTEN_TITLED for p in (first, second)):
        return None
    if GENERIC_TASKS & {first.key, second.key}:
        return None
    alike = set(spelled_out(first.key)) & set(spelled_out(second.key)) or same(first.key, second.key)
    if alike or len(text.split()) > most_words:
        return None
    return _Candidate(text, (*first.key, *second.key), first.score)


def _names_something(phrase: Phrase) -> bool:
    """Whether a phrase can stand on the map by itself, rather than being a word of a sentence."""
    if phrase.key in SHAPELESS:
        return False
    if phrase.is_task:
        return phrase.coverage >= (_NEARLY_ALL if phrase.is_subject else 0.1)
    if any(c.isdigit() for c in phrase.text):
        return False
    if len(phrase.key) == 1:
        # One word is a name if datasets are called by it, or if nearly all have it in the plural; else it may be a verb.
        plural = phrase.text.lower() != phrase.key[0] and phrase.titled > 0
        return (plural and phrase.coverage >= 0.6 and phrase.lift >= 3) or (
            phrase.titled >= _OFTEN_TITLED and phrase.coverage >= 0.2 and len(phrase.text) > 2
        )
    return phrase.coverage >= (0.15 if phrase.titled >= 0.1 else 0.25)


def _assign(options: Sequence[Sequence[_Candidate]]) -> list[_Candidate]:
    """One candidate a group, no two alike, so that the scores sum to the most."""
    optimize = heavy("scipy.optimize")
    columns: dict[str, int] = {}
    for found in options:
        for candidate in found:
            columns.setdefault(folded(candidate.text), len(columns))
    # So that a group without a free candidate of its own can still be given one, with a number after it.
    gains = np.full((len(options), len(columns) + len(options)), -1.0)
    for group, found in enumerate(options):
        for place, candidate in reversed(list(enumerate(found))):
            column = columns[folded(candidate.text)]
            # Earlier candidates win among equal ones; the differences are far below those of scores.
            gains[group, column] = min(candidate.score, _CERTAIN) - 1e-9 * place
    _, chosen = optimize.linear_sum_assignment(gains, maximize=True)
    named: list[_Candidate] = []
    taken: set[str] = set()
    for found, column in zip(options, chosen.tolist(), strict=True):
        choice = next((c for c in found if columns[folded(c.text)] == column), found[-1])
        named.append(replace(choice, text=unlike(choice.text, taken)))
        taken.add(folded(named[-1].text))
    return named


def unlike(name: str, taken: Iterable[str]) -> str:
    """The name, or with a number after it if there is one like it; `taken` are folded."""
    used = set(taken)
    if folded(name) not in used:
        return name
    number, stem = 2, " ".join(name.split()[: MOST_WORDS - 1])
    while folded(f"{stem} {number}") in used:
        number += 1
    return f"{stem} {number}"


def display(phrase: Phrase) -> str:
    """A phrase as a name: title case, tasks by their usual names, acronyms in capitals."""
    if phrase.is_task and phrase.key in TASK_NAMES:
        return TASK_NAMES[phrase.key]
    return title_case(phrase.text)


def title_case(text: str) -> str:
    """Capital first letters, but for short joining words; words with capitals inside stay as they are."""
    words = []
    for place, word in enumerate(text.split()):
        lower = word.lower()
        if lower in UPPER_WORDS:
            words.append(UPPER_WORDS[lower])
        elif place and lower in LOWER_WORDS:
            words.append(lower)
        elif word[1:] != word[1:].lower():
            words.append(word)
        else:
            words.append("-".join(part[:1].upper() + part[1:] for part in word.split("-")))
    return " ".join(words)


def _language(members: Sequence[Document], documents: Sequence[Document]) -> str | None:
    """The language of a group, where most of it has one and most of the rest has another."""
    language, count = Counter(d.language for d in members).most_common(1)[0]
    if not language or language in ("English", "Multilingual") or count < _LANGUAGE_SHARE * len(members):
        return None
    everywhere = sum(d.language == language for d in documents) / len(documents)
    return language if everywhere < 0.5 else None


def _family(members: Sequence[int], families: Sequence[Mapping[str, float]]) -> str | None:
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


def _apart(vocabulary: Vocabulary, members: NDArray[np.bool_], first: Phrase, second: Phrase) -> bool:
    """Whether most of a group's documents with the second phrase lack the first."""
    lacking = members.copy()
    lacking[vocabulary.rows_of(first.column)] = False
    inside = vocabulary.rows_of(second.column)
    inside = inside[members[inside]]
    return bool(lacking[inside].mean() > 0.5) if len(inside) else False


def _is_broad_task(phrase: Phrase) -> bool:
    return phrase.is_task and phrase.coverage >= _ENOUGH and phrase.key not in GENERIC_TASKS | SHAPELESS


def _last_resort(title: str, above: str | None) -> _Candidate:
    """A name for a group without a phrase of its own: after its exemplar, if that has a title in words."""
    words = [w for w in clean(title).split() if w.lower() not in ("dataset", "the", "corpus")]
    in_words = len(words) > 1 and all(w.replace("-", "").isalpha() for w in words)
    if above is not None and not in_words:
        name = f"Other {above}" if len(above.split()) < MOST_WORDS and not above.startswith("Other ") else above
        return _Candidate(name, key_of(name), 0.0)
    return _Candidate(" ".join([*(words or ["Others"])[: _MOST_LOCAL_WORDS - 1], "and Similar"]), key_of(title), 0.0)


def _common(vocabulary: Vocabulary, documents: int) -> list[Phrase]:
    return of_groups(vocabulary, np.zeros(documents, dtype=np.int64), count=16)[0]


def clean(name: str) -> str:
    """One line without markup at its ends; empty where nothing is left that a person could read."""
    text = _SPACE.sub(" ", "".join(c if c.isprintable() else " " for c in name)).strip(_EDGES)
    return text if any(c.isalpha() for c in text) else ""


def acceptable(name: str, documents: Iterable[str] = ()) -> bool:
    """Whether a model's answer is a name: not empty, not over six words, not a title from the documents."""
    text = clean(name)
    if not text or len(text.split()) > MOST_WORDS or len(text) > 80:
        return False
    return folded(text) not in {folded(d) for d in documents}


def folded(name: str) -> str:
    """The form in which names are compared: lower case, singular, "&" as "and"."""
    return " ".join(key_of(name.replace("&", " and ")))
