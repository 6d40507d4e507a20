"""Names of topics made from key phrases: a layer's names are chosen together, so that no two are alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.store.topics import TopicPlace
from render.libraries import heavy
from render.topics.candidates import Marks, NameCandidate, apart, candidates, family_of, language_of, last_resort
from render.topics.clusters import Labels
from render.topics.documents import TopicDocument
from render.topics.keyphrases import Phrase, Vocabulary, key_of, of_groups
from render.topics.wording import folded, unlike
from render.topics.words import GENERIC_TASKS, WIDEST, family_shares, same

ONE_TOPIC = "All Datasets"

# How much covering a group counts against being rare elsewhere: finest and coarsest layer.
_BREADTH = (0.75, 1.15)
# A part with so many of a topic's datasets is as good as the topic, and may bear its name.
_NEARLY_ALL = 0.8
# A subject, or a task that says little, names a part only where it is so much commoner than in the whole.
_COMMONER = 1.3
# A part in which the name of the whole is so much commoner than in the whole is its heart.
_HEART = 1.6

# Scores above all others: names that stand, and below them those taken over from the topic around.
_CERTAIN = 1e6
_NEARLY_CERTAIN = 1e3


@dataclass(frozen=True, slots=True)
class LocalName:
    """A topic's name and the phrases it was chosen from, best first."""

    name: str
    key_phrases: list[str]


def name_layers(
    documents: Sequence[TopicDocument],
    vocabulary: Vocabulary,
    layers: Sequence[Labels],
    parents: Sequence[Sequence[TopicPlace | None]],
    exemplars: Callable[[int, int], int],
    kept: Mapping[TopicPlace, str],
) -> list[list[LocalName]]:
    """Name every topic of a tree from its key phrases.

    Args:
        documents: one a point.
        vocabulary: their phrases.
        layers: the groups, coarsest layer first.
        parents: as `render.topics.clusters.parents` gives them.
        exemplars: the point most typical of the group (layer, group); it lends its title where nothing else does.
        kept: names that stand, by (layer, group).

    Returns:
        For each layer and group a name of one to four words, unlike all others of its layer.
    """
    if len(layers) == 1 and int(layers[0].max(initial=-1)) == 0:
        common = [p.text for p in _common(vocabulary, len(documents))]
        return [[LocalName(kept.get((0, 0), ONE_TOPIC), common)]]
    named: list[list[LocalName]] = []
    chosen_of: list[list[NameCandidate]] = []
    families = [family_shares(d.languages) for d in documents]
    for depth, labels in enumerate(layers):
        share = depth / (len(layers) - 1) if len(layers) > 1 else 1.0
        breadth = _BREADTH[1] + (_BREADTH[0] - _BREADTH[1]) * share
        phrases_of = of_groups(vocabulary, labels, breadth=breadth)
        sizes = np.bincount(labels[labels >= 0], minlength=len(phrases_of))
        options: list[list[NameCandidate]] = []
        for group, ranked in enumerate(phrases_of):
            phrases = ranked
            members = np.flatnonzero(labels == group).tolist()
            above = parents[depth][group]
            whole: NameCandidate | None = None
            if above is not None:
                around = layers[above[0]] == above[1]
                whole = chosen_of[above[0]][above[1]]
                if sizes[group] < _NEARLY_ALL * int(around.sum()):
                    phrases = _set_apart(phrases, vocabulary, around, whole)
                    whole = None
            marks = Marks(language_of([documents[i] for i in members], documents), family_of(members, families))
            found = list(candidates(phrases, marks, partial(apart, vocabulary, labels == group)))
            if whole is not None:
                # Nearly all of the topic around: another name would say that there is a difference.
                found.insert(0, replace(whole, score=_NEARLY_CERTAIN))
            around_it = None if above is None else named[above[0]][above[1]].name
            found += last_resort(documents[exemplars(depth, group)].title, around_it)
            if (depth, group) in kept:
                name = kept[depth, group]
                found = [NameCandidate(name, key_of(name), float("inf"))]
            options.append(found)
        chosen = _assign(options)
        named.append([LocalName(c.text, [p.text for p in ps[:16]]) for c, ps in zip(chosen, phrases_of, strict=True)])
        chosen_of.append(chosen)
    return named


def _set_apart(
    phrases: Sequence[Phrase], vocabulary: Vocabulary, around: NDArray[np.bool_], whole: NameCandidate
) -> list[Phrase]:
    """Order a part's phrases by how much commoner they are in it than in the topic around it.

    The name of the topic around stays possible, as the last resort.
    """
    found = []
    for phrase in phrases:
        ratio = phrase.coverage / max(vocabulary.coverage(phrase.column, around), 0.01)
        factor = min(1.25, 0.5 * float(np.log2(1.0 + ratio)))
        if phrase.key == WIDEST:
            factor = 0.0
        elif same(phrase.key, whole.key):
            # The whole is called after this part of it: better the same name again than a wrong one.
            factor = 0.4 if ratio >= _HEART else 0.1
        elif "&" not in whole.text and set(phrase.key) < set(whole.key):
            # A part is not wider than the whole: "Translation" in "Speech Translation".
            factor = 0.1
        elif (phrase.is_subject or phrase.key in GENERIC_TASKS) and ratio < _COMMONER:
            factor = 0.1
        found.append(replace(phrase, score=phrase.score * factor))
    return sorted(found, key=lambda p: (-p.score, p.key))


def _assign(options: Sequence[Sequence[NameCandidate]]) -> list[NameCandidate]:
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
    named: list[NameCandidate] = []
    taken: set[str] = set()
    for found, column in zip(options, chosen.tolist(), strict=True):
        choice = next((c for c in found if columns[folded(c.text)] == column), found[-1])
        named.append(replace(choice, text=unlike(choice.text, taken)))
        taken.add(folded(named[-1].text))
    return named


def _common(vocabulary: Vocabulary, documents: int) -> list[Phrase]:
    return of_groups(vocabulary, np.zeros(documents, dtype=np.int64), count=16)[0]
