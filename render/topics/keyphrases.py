"""Key phrases that set groups of documents apart, scored by how much of a group they cover and how little else.

Candidates come from tags (tasks), extraction (the subject), titles and card texts. A run of words between
punctuation and stop words is cut into phrases of one to three words. Plurals count as their singular; a phrase
is written the way it is written most often.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from render.topics.clusters import Labels
from render.topics.documents import EXCERPT_CHARS, TopicDocument
from render.topics.words import EDGE_WORDS, GENERIC_TASKS, STOP_WORDS, WEAK_WORDS, same

_WORD = re.compile(r"[^\W\d_](?:[\w'’+#-]*[\w+#])?")
_BREAK = re.compile(r"[.,;:!?()\[\]{}<>|/\\\"“”*=~`\n\r\t•–—]+|\s-\s|(?<!\w)\d[\d.,%]*")
_PARTS = re.compile(r"[-\s]+")
# Names of variables and files, codes of languages and of pairs of them, the rest of "7B-Instruct".
_CODE = re.compile(r"_|^[a-z]+[A-Z]|[A-Za-z]\d+$|\d\D+\d|^[a-z]{2}$|^[A-Za-z]{2,3}-[A-Za-z]{2,3}$|^[BMK]-")
_LONGEST = 3
_MAX_WORD = 24
# A phrase is a fragment if so much of its documents have it inside one and the same longer phrase.
_FRAGMENT = 0.6
# What a subject counts, where a task counts 1.25: it names what no task or phrase of its own names.
_SUBJECT_WEIGHT = 0.6
# What a phrase in a card's text counts, where one in its title or tags counts 1.
_BODY_WEIGHT = 0.7

Key = tuple[str, ...]
"""How a phrase is counted: its words in lower case and in the singular, hyphens taken apart."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of one group. `coverage` is the share of the group's documents that have it (half for a mere mention)."""

    text: str
    score: float
    coverage: float
    lift: float
    """Coverage inside the group over coverage outside, smoothed."""
    key: Key
    column: int
    is_task: bool
    """Whether it is the name of a task or a subject."""
    is_subject: bool
    titled: float
    """Share of all documents having it that have it in their title."""
    common: float = 1.0
    """Share of its places in card texts where its last word is written small: near 0 for names of products."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which documents have which phrases. `rows` and `columns` are parallel: document has phrase."""

    keys: list[Key]
    texts: list[str]
    tasks: NDArray[np.bool_]
    """Whether it is the name of a task or a subject."""
    subjects: NDArray[np.bool_]
    titled: NDArray[np.float64]
    """Share of its documents that have it in their title."""
    common: NDArray[np.float64]
    """Share of its places in card texts where its last word is written small; 0 where no text has it."""
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights: NDArray[np.float64]
    documents: int
    by_column: NDArray[np.int64]
    """TopicDocument rows sorted by phrase; those of a phrase lie from `starts[phrase]` to `starts[phrase + 1]`."""
    starts: NDArray[np.int64]

    def coverage(self, column: int, members: NDArray[np.bool_]) -> float:
        """Share of the documents marked in `members` (shape (documents,)) that have a phrase."""
        return float(members[self.rows_of(column)].sum()) / max(1, int(members.sum()))

    def rows_of(self, column: int) -> NDArray[np.int64]:
        """The documents that have a phrase."""
        return self.by_column[self.starts[column] : self.starts[column + 1]]


@lru_cache(maxsize=200_000)
def singular(word: str) -> str:
    """The form under which a word is counted: lower case, English plural endings off."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "ics", "ous", "news")):
        return word[:-1]
    return word


@lru_cache(maxsize=200_000)
def key_of(phrase: str) -> Key:
    """The form under which a phrase is counted."""
    return tuple(singular(w) for w in _PARTS.split(phrase.strip()) if w)


@lru_cache(maxsize=200_000)
def _key_of_word(word: str) -> Key:
    """The same for one word; empty for a word that no phrase contains."""
    parts = _PARTS.split(word.lower())
    if not 1 < len(word) <= _MAX_WORD or _CODE.search(word) or not STOP_WORDS.isdisjoint(parts):
        return ()
    return key_of(word)


def candidates(text: str) -> Iterator[tuple[Key, str]]:
    """Phrases of one to three words in a text, as they are counted and as they are written."""
    for piece in _BREAK.split(text):
        run: list[tuple[Key, str]] = []
        for word in _WORD.findall(piece):
            key = _key_of_word(word)
            if key:
                run.append((key, word))
            elif run:
                yield from _grams(run)
                run = []
        if run:
            yield from _grams(run)


def _grams(run: list[tuple[Key, str]]) -> Iterator[tuple[Key, str]]:
    for start, (first, word) in enumerate(run):
        if first[0] in EDGE_WORDS:
            continue
        key, phrase = first, word
        for stop in range(start + 1, len(run) + 1):
            if len(key) > _LONGEST:
                break
            alone_and_weak = len(key) == 1 and key[0] in WEAK_WORDS
            if key[-1] not in EDGE_WORDS and len(set(key)) == len(key) and not alone_and_weak:
                yield key, phrase
            if stop < len(run):
                key, phrase = key + run[stop][0], f"{phrase} {run[stop][1]}"


def vocabulary(documents: Sequence[TopicDocument], *, fewest: int = 2, most: int = 60_000) -> Vocabulary:
    """Collect the phrases that occur in at least `fewest` documents; of more than `most`, the commonest."""
    spellings: dict[Key, Counter[str]] = defaultdict(Counter)
    per_document: list[dict[Key, float]] = []
    tasks: set[Key] = set()
    subjects: set[Key] = set()
    seen: Counter[Key] = Counter()
    titled: Counter[Key] = Counter()
    small: Counter[Key] = Counter()
    written: Counter[Key] = Counter()
    for document in documents:
        found: dict[Key, float] = {}
        for key, phrase in candidates(document.body[:EXCERPT_CHARS]):
            found[key] = _BODY_WEIGHT
            spellings[key][phrase] += 1
            written[key] += 1
            small[key] += phrase.rpartition(" ")[2].islower()
        for key, phrase in candidates(document.title):
            if found.get(key) != 1.0:
                titled[key] += 1
            found[key] = 1.0
            spellings[key][phrase] += 1
        if document.subject:
            subjects.add(key_of(document.subject))
        for task in (*document.tasks, document.subject):
            key = key_of(task)
            if 0 < len(key) <= 4:
                found[key] = 1.0
                tasks.add(key)
                spellings[key][task] += 1
        per_document.append(found)
        seen.update(found.keys())
    for document, found in zip(documents, per_document, strict=True):
        _weigh_mentions(document, found, tasks - subjects)
    fragments = _fragments(seen, fewest) - tasks
    kept = sorted((k for k, n in seen.items() if n >= fewest and k not in fragments), key=lambda k: (-seen[k], k))
    kept = kept[:most]
    number = {key: column for column, key in enumerate(kept)}
    entries = [
        (row, number[key], weight)
        for row, found in enumerate(per_document)
        for key, weight in found.items()
        if key in number
    ]
    entries.sort(key=lambda entry: entry[:2])
    rows = np.array([e[0] for e in entries], dtype=np.int64)
    columns = np.array([e[1] for e in entries], dtype=np.int64)
    by_column = np.argsort(columns, kind="stable")
    return Vocabulary(
        keys=kept,
        texts=[min(spellings[k], key=lambda s: (-spellings[k][s], s)) for k in kept],
        tasks=np.array([k in tasks for k in kept], dtype=bool),
        subjects=np.array([k in subjects for k in kept], dtype=bool),
        titled=np.array([titled[k] / seen[k] for k in kept], dtype=np.float64),
        common=np.array([small[k] / max(1, written[k]) for k in kept], dtype=np.float64),
        rows=rows,
        columns=columns,
        weights=np.array([e[2] for e in entries], dtype=np.float64),
        documents=len(documents),
        by_column=rows[by_column],
        starts=np.searchsorted(columns[by_column], np.arange(len(kept) + 1)),
    )


def _weigh_mentions(document: TopicDocument, found: dict[Key, float], tasks: set[Key]) -> None:
    """Where the tags name a task that tells something, other tasks that the text mentions count half."""
    if any(key_of(task) not in GENERIC_TASKS for task in document.tasks):
        found.update({key: weight / 2 for key, weight in found.items() if weight == _BODY_WEIGHT and key in tasks})


def _fragments(seen: Counter[Key], fewest: int) -> set[Key]:
    """Phrases that stand mostly inside one and the same longer phrase."""
    found: set[Key] = set()
    for longer, count in seen.items():
        if len(longer) > 1 and count >= fewest:
            found.update(part for part in (longer[1:], longer[:-1]) if count >= _FRAGMENT * seen[part] > 0)
    return found


def of_groups(vocabulary: Vocabulary, labels: Labels, *, breadth: float = 0.75, count: int = 24) -> list[list[Phrase]]:
    """The best phrases of each group of a layer, best first, equal ones by the alphabet.

    Args:
        vocabulary: the phrases of all documents.
        labels: the groups of one layer.
        breadth: how much covering a group counts against being rare elsewhere; more for coarser layers.
        count: the most phrases a group.
    """
    groups = int(labels.max(initial=-1)) + 1
    width = len(vocabulary.texts)
    sizes = np.bincount(labels[labels >= 0], minlength=groups)
    total = np.bincount(vocabulary.columns, weights=vocabulary.weights, minlength=width)
    favour = _favour(vocabulary)
    counts = np.where(vocabulary.weights < _BODY_WEIGHT, 0.5, 1.0)
    of_entry = labels[vocabulary.rows]
    order = np.argsort(of_entry, kind="stable")
    bounds = np.searchsorted(of_entry[order], np.arange(groups + 1))
    found = []
    for group in range(groups):
        entries = order[bounds[group] : bounds[group + 1]]
        inside = np.bincount(vocabulary.columns[entries], weights=vocabulary.weights[entries], minlength=width)
        documents = np.bincount(vocabulary.columns[entries], minlength=width)
        covered = np.bincount(vocabulary.columns[entries], weights=counts[entries], minlength=width)
        size = int(sizes[group])
        chosen = np.flatnonzero(documents >= (1 if size < 3 else max(2, round(0.04 * size))))
        p_in = inside[chosen] / size
        p_out = (total[chosen] - inside[chosen] + 0.5) / (vocabulary.documents - size + 1.0)
        lift = (p_in + 0.01) / (p_out + 0.01)
        score = p_in**breadth * np.log(np.maximum(lift, 1.0)) * favour[chosen]
        best = [i for i in np.argsort(-score, kind="stable")[: 6 * count].tolist() if score[i] > 0]
        best.sort(key=lambda i: (-round(float(score[i]), 6), vocabulary.keys[chosen[i]]))
        phrases = [
            Phrase(
                text=vocabulary.texts[chosen[i]],
                score=float(score[i]),
                coverage=float(covered[chosen[i]] / size),
                lift=float(lift[i]),
                key=vocabulary.keys[chosen[i]],
                column=int(chosen[i]),
                is_task=bool(vocabulary.tasks[chosen[i]]),
                is_subject=bool(vocabulary.subjects[chosen[i]]),
                titled=float(vocabulary.titled[chosen[i]]),
                common=float(vocabulary.common[chosen[i]]),
            )
            for i in best
        ]
        found.append(_without_overlaps(phrases)[:count])
    return found


def _favour(vocabulary: Vocabulary) -> NDArray[np.float64]:
    """Two words name a subject best; one alone is vague, three are often a fragment of a sentence."""
    lengths = np.minimum([len(k) for k in vocabulary.keys], 4) if vocabulary.keys else np.zeros(0, dtype=int)
    by_length = np.array([0.0, 0.7, 1.2, 1.05, 0.95])[lengths]
    generic = np.array([k in GENERIC_TASKS for k in vocabulary.keys], dtype=bool)
    # Subjects are few and wide: a task or a title says more where there is one.
    told = np.where(vocabulary.subjects, _SUBJECT_WEIGHT, np.where(vocabulary.tasks, 1.25, 1.0))
    task = told * np.where(generic, 0.6, 1.0)
    favour: NDArray[np.float64] = by_length * task * (1.0 + 0.25 * vocabulary.titled)
    return favour


def _without_overlaps(phrases: Sequence[Phrase]) -> list[Phrase]:
    """Of phrases that share words at their ends or hold one another, keep the one that comes first.

    Tasks and subjects are chosen from a list, not cut from a text: they give way only to another name of the same.
    """
    kept: list[Phrase] = []
    for phrase in phrases:
        alike = same if phrase.is_task else _overlap
        if not any(alike(phrase.key, other.key) for other in kept):
            kept.append(phrase)
    return kept


def _overlap(a: Key, b: Key) -> bool:
    if len(a) > len(b):
        a, b = b, a
    if any(b[i : i + len(a)] == a for i in range(len(b) - len(a) + 1)):
        return True
    return any(a[-n:] == b[:n] or b[-n:] == a[:n] for n in range(1, len(a))) or same(a, b)
