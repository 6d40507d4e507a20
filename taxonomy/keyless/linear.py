"""Linear classifier of the fields: words and the rules' scores in, a probability for every slug out.

Trained by tools/make_models.py on reference labels; `linear.npz` holds the weights. It speaks for a field only where a
taxonomy has that field with the very slugs it was trained on.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from taxonomy.keyless import lexicon

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS = Path(__file__).with_name("linear.npz")

TITLE, HEAD, BODY = 2.0, 1.5, 0.35
"""What a word counts in the title, in the first two paragraphs and further down; as in the rules."""

RULE = 0.12
"""Brings the rules' scores (0 to about 20) to the scale of the words' weights (a unit vector)."""

_NO_TASK = "@task=none"
_WORD = re.compile(r"[a-z][a-z0-9+#]*|\d+")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CardFeatures:
    """Features of a card. `words`: weighted counts; `rules`: scores as "field=slug"."""

    words: Mapping[str, float]
    rules: Mapping[str, float]
    text: str = field(repr=False, default="")

    @property
    def has_task(self) -> bool:
        """Whether the card names a task category."""
        return _NO_TASK not in self.words


@dataclass(frozen=True)
class LinearModel:
    """Weights of the model. The columns of `words` and `rules` are the outputs, "field=slug", as is `bias`.

    `idf`: float32, (words,). `words`: int8, (words, outputs), times `scales`, float32, (outputs,). `rules`: float32,
    (rules, outputs).
    """

    outputs: tuple[str, ...]
    word_names: tuple[str, ...]
    rule_names: tuple[str, ...]
    idf: NDArray[np.float32]
    words: NDArray[np.int8]
    scales: NDArray[np.float32]
    rules: NDArray[np.float32]
    bias: NDArray[np.float32]

    @cached_property
    def word_index(self) -> Mapping[str, int]:
        """The row of each word."""
        return {name: index for index, name in enumerate(self.word_names)}

    @cached_property
    def columns(self) -> Mapping[str, Mapping[str, int]]:
        """The column of each slug, by field."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for column, output in enumerate(self.outputs):
            name, slug = output.split("=")
            found[name][slug] = column
        return found

    def probabilities(self, card: CardFeatures) -> Mapping[str, Mapping[str, float]]:
        """Predict the probability of each slug, for every field that the model knows; they add up to 1."""
        logits = self._logits(card)
        found = {}
        for name, columns in self.columns.items():
            largest = max(logits[column] for column in columns.values())
            powers = {slug: math.exp(logits[column] - largest) for slug, column in columns.items()}
            total = sum(powers.values())
            found[name] = {slug: power / total for slug, power in powers.items()}
        return found

    def telling(self, card: CardFeatures, name: str, slug: str) -> Span | None:
        """Find the sentence of the card's text that speaks most for a slug, as (start, end); None if none does."""
        column = self.columns[name][slug]
        best, place = 0.0, None
        for start, end in _sentences(card.text):
            gain = 0.0
            for word, _ in _words(card.text[start:end]):
                row = self.word_index.get(word)
                if row is not None:
                    gain += float(self.idf[row]) * int(self.words[row, column])
            gain /= math.sqrt(end - start + 40)
            if gain > best:
                best, place = gain, (start, end)
        return place

    def _logits(self, card: CardFeatures) -> list[float]:
        import numpy as np

        known = [(row, count) for word, count in card.words.items() if (row := self.word_index.get(word)) is not None]
        rows = np.array([row for row, _ in known], np.intp)
        x = np.log1p(np.array([count for _, count in known], np.float64)) * self.idf[rows]
        length = math.sqrt(math.fsum(x * x)) or 1.0
        of_words = (x / length) @ self.words[rows].astype(np.float64) * self.scales
        scores = np.array([card.rules.get(name, 0.0) for name in self.rule_names], np.float64)
        total: list[float] = (of_words + (RULE * scores) @ self.rules + self.bias).tolist()
        return total


def features(title: str, tags: tuple[str, ...], text: str, evidence: Mapping[str, lexicon.Evidence]) -> CardFeatures:
    """Make the features of a card. `text` is stripped, `evidence` what the rules found in it."""
    words: dict[str, float] = defaultdict(float)
    head = lexicon.head_end(text)
    for part, weight in ((title, TITLE), (text[:head], HEAD), (text[head : lexicon.BODY_CHARS], BODY)):
        for word, _ in _words(part):
            words[word] += weight
    tasks = [tag.partition(":")[2] for tag in tags if tag.startswith("task_categories:")]
    words[f"@task={tasks[0]}" if tasks else _NO_TASK] += 1
    rules = {f"{name}={slug}": score for name, found in evidence.items() for slug, score in found.support.items()}
    return CardFeatures(words, rules, text[: lexicon.BODY_CHARS])


@lru_cache(maxsize=1)
def load() -> LinearModel:
    """Load the weights that ship with hfmap, once."""
    import numpy as np

    with np.load(WEIGHTS, allow_pickle=False) as arrays:
        names = {key: tuple(bytes(arrays[key]).decode().split("\n")) for key in ("outputs", "word_names", "rule_names")}
        return LinearModel(
            **names,
            idf=arrays["idf"].astype(np.float32),
            words=arrays["words"],
            scales=arrays["scales"],
            rules=arrays["rules"],
            bias=arrays["bias"],
        )


def _words(text: str) -> Iterator[tuple[str, int]]:
    """Words and pairs of neighbouring words, lower case, with their offsets."""
    last = ""
    for match in _WORD.finditer(text.lower()):
        word = match.group()
        yield word, match.start()
        if last:
            yield f"{last} {word}", match.start()
        last = word


_SENTENCE = re.compile(r"[^\n]+?(?:[.!?](?=\s)|$)", re.MULTILINE)


def _sentences(text: str) -> Iterator[Span]:
    for match in _SENTENCE.finditer(text):
        if match.end() - match.start() > 20:
            yield match.span()
