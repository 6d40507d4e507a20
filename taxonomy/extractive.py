"""The best sentence of a card, as a summary."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from taxonomy.scoring import lexicon
from taxonomy.summaries import sentences, summary_problem, trim_summary

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9'-]+|\d[\d,.]*[KMBkmb]?")
_DATA = re.compile(
    r"\b(?:data ?sets?|corpus|corpora|benchmark|collection|contains?|consist(?:s|ing)|compris(?:es|ing)"
    r"|includ(?:es|ing)|annotated|images?|sentences|questions|documents"
    r"|examples|articles|dialogues|conversations|pairs|speech|recordings|problems|instances|tweets|reviews"
    r"|samples|tokens|videos|hours|texts?)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\b\d[\d,.]*\s?(?:[kKmMbB]\b|million|billion|thousand|hours)?")
_WEAK = re.compile(
    r"\b(?:we|our|i|please|you|your|see|click|note|paper|propose|leaderboard|above|below|following|field"
    r"|column|string|license|download|however|these|they|et al)\b|:$|\?$",
    re.IGNORECASE,
)
_KIND = r"(?i:data ?set|corpus|benchmark|collection|database|treebank)"
_HOLDS = (
    r"(?:contains|consists of|is (?:composed|comprised|made up) of|comprises|includes|provides|offers|has|holds"
    r"|covers|features)"
)
#: What stands before the noun phrase that says what the records are.
_SUBJECT = re.compile(
    rf"^(?:(?i:the|our|this) )?"
    rf"(?:[\w.'’&/-]+ ){{0,5}}?(?:{_KIND}|[A-Z][\w.-]*(?: \([^)]{{1,60}}\))?)(?: \([^)]{{1,60}}\))? (?:"
    rf"{_HOLDS} (?:of )?(?:about |around |approximately |over |more than )?(?=(?:\d|an? |the |[a-z]))"
    rf"|(?:is|was) an? (?:[a-z-]+ ){{0,2}}{_KIND} (?:of|containing|consisting of|with|that contains|comprising) )"
)
_INSTRUCTION = re.compile(
    r"^(?:to (?:load|use|download|get|see|run)|for (?:more|details)|if "
    r"|when |note|please|all you)\b|load_dataset|[=\"]\s?[=(\"]| = ",
    re.IGNORECASE,
)
_CANDIDATES = 40
_CHARS = 6_000


def best_line(text: str, title: str, tags: tuple[str, ...]) -> str:
    """One sentence of at most 25 words from a stripped card, or a line made of its title and tags; never empty."""
    candidates = list(_candidates(text[:_CHARS]))[:_CANDIDATES]
    if candidates:
        weights = Counter(word for sentence, _ in candidates for word in set(_content(sentence)))
        name = set(_content(title))
        best = max(range(len(candidates)), key=lambda i: _score(candidates[i][0], i, weights, name))
        sentence = candidates[best][0]
        opened = _SUBJECT.sub("", sentence, count=1)
        line = trim_summary(opened if len(opened.split()) >= 5 else sentence)
        if summary_problem(line) is None and len(line.split()) >= 4:
            return line
    return _fallback(title, tags)


def _candidates(text: str) -> Iterator[tuple[str, int]]:
    """Sentences that could stand alone, in order."""
    for block in re.split(r"\n{2,}|\n(?=[A-Z0-9])", text):
        for sentence in sentences(" ".join(block.split())):
            words = sentence.split()
            if (
                5 <= len(words) <= 80
                and not _INSTRUCTION.search(sentence)
                and sum(c.isalpha() for c in sentence) > 0.6 * len(sentence)
            ):
                yield sentence, len(words)


def _content(sentence: str) -> list[str]:
    dull = _dull()
    return [word for match in _WORD.finditer(sentence) if (word := match.group().lower()) not in dull]


@lru_cache(maxsize=1)
def _dull() -> frozenset[str]:
    return frozenset(lexicon()["dull"])


def _score(sentence: str, place: int, weights: Counter[str], name: set[str]) -> float:
    """Centrality, position, words for data, numbers and the dataset's name speak for a sentence."""
    words = _content(sentence)
    if not words:
        return -1.0
    centrality = sum(math.log1p(weights[word] - 1) for word in set(words)) / math.sqrt(len(set(words)))
    overlap = len(name.intersection(words)) / (len(name) or 1)
    data = min(len(_DATA.findall(sentence)), 3)
    length = len(sentence.split())
    return (
        0.5 * centrality
        + 2.2 / (1 + 0.5 * place)
        + 0.45 * data
        + 0.35 * min(len(_NUMBER.findall(sentence)), 2)
        + 0.5 * overlap
        - 0.6 * min(len(_WEAK.findall(sentence)), 3)
        - 0.02 * abs(length - 20)
    )


def _fallback(title: str, tags: tuple[str, ...]) -> str:
    """A line from what is known without the text."""
    name = " ".join(re.sub(r"[-_/]+", " ", title).split())
    tasks = [tag.split(":", 1)[1].replace("-", " ") for tag in tags if tag.startswith("task_categories:")]
    modality = next((tag.split(":", 1)[1] for tag in tags if tag.startswith("modality:")), "")
    kind = f"{modality.capitalize()} data" if modality else "Data"
    purpose = f" for {' and '.join(tasks[:2])}" if tasks else ""
    line = f"{kind}{purpose} published as {name}" if name else f"{kind}{purpose} without a description"
    return trim_summary(line)
