"""The best sentence of a card, as a summary.

Every sentence that could stand alone is rewritten to open with what the records are and cut to 25 words; a linear
score picks one. Its weights (summary.json) are fitted by tools/make_models.py to agreement with reference summaries.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from taxonomy.scoring import lexicon
from taxonomy.summaries import sentences, summary_problem, trim_summary

WEIGHTS = Path(__file__).with_name("summary.json")

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
    r"|column|string|however|these|they|et al)\b|:$|\?$",
    re.IGNORECASE,
)
_MADE = re.compile(
    r"\b(?:annotat|label|crowd|collect|extract|translat|generat|written|recorded|scraped|curated|aligned)\w*",
    re.IGNORECASE,
)
_LANGUAGE = re.compile(
    r"\b(?:English|Chinese|Mandarin|German|French|Spanish|Arabic|Japanese|Korean|Russian|Portuguese|Italian|Hindi"
    r"|Turkish|Vietnamese|Thai|Indonesian|Polish|Dutch|Swedish|Danish|Norwegian|Finnish|Czech|Greek|Ukrainian"
    r"|multilingual|languages?)\b"
)
_LEANING = re.compile(
    r"(?:however|these|they|for|in|to|as|when|if|each|all|its|it|there|but|also|thus)\b", re.IGNORECASE
)
#: Sentences about getting, citing or licensing the data, or about the card, are no summaries of it.
_NOT_ABOUT = re.compile(
    r"\b(?:download(?:s|ed|able|ing)?|licen[sc]e[ds]?|licensing|copyright(?:ed)?|(?<!-)cit(?:e|ation)s?|bibtex|readme|click|http"
    r"|(?:data(?:set)?|model) cards?|this card|pip install|load_dataset|pull request|more information|dataset description|homepage|table of contents|huggingface|hugging face"
    r"|to (?:load|use|access)|thanks?|acknowledg\w+|contact|pytorch|implementation of|source code (?:of|for)|official (?:repo|code|github)\w*)\b",
    re.IGNORECASE,
)
_BROKEN = re.compile(r"<[^<>]*>|[{}|\\]|\(\s*\)|\w_\w+_|&\w+;|^\W|\.\.\.|\S{40}|[:;,(]\W*$")
_LEFT_BEHIND = re.compile(r"\((?:\s*(?:see|cf|e\.g|at|here))?\s*[,;.]*\s*\)|\[\s*\]|\\(?=\s|$)")
_CANDIDATES = 40
_CHARS = 6_000

_SUBJECT = (
    r"(?:(?:the|our|this)\s+)?(?:[^\s,;:.]+\s+){1,8}?(?:\([^()]{1,40}\)\s*)?"
    r"(?:(?:data ?set|corpus|benchmark|collection|database|treebank)\s+)?(?:\([^()]{1,40}\)\s*)?"
)
#: "NAME is a …" and "NAME contains …": the records come after.
_IS_A = re.compile(
    rf"^(?:it's|{_SUBJECT},?\s*(?:is|are|was))\s+(?:an?|the(?: first| largest)?)\s+(?:(?:new|novel|large|small)\s+)*",
    re.IGNORECASE,
)
_CONTAINS = re.compile(
    rf"^{_SUBJECT}(?:\(?v?\d[\d.]*\)?\s+)?(?:, [^,.;]{{3,60}}, )?(?:is (?:made up|composed|comprised) of|consists? of|contains?|comprises?|includes?"
    r"|provides?|offers?|covers?|comprise|presents?|has(?= (?:more|over|about|\d)))\s+(?=\S)",
    re.IGNORECASE,
)
_WE_MADE = re.compile(
    r"^we (?:have )?(?:collect|construct|creat|built|build|present|introduc|gather|crowdsourc)(?:ed|e|s)?\s+"
    r"(?:an?\s+)?(?:(?:new|novel|large|small)\s+)*",
    re.IGNORECASE,
)
_SET_OF = re.compile(
    r"^(?:data ?set|corpus|collection|benchmark|set)\s+"
    r"(?:of|containing|consisting of|that contains|which contains|with|comprising|comprised of)\s+",
    re.IGNORECASE,
)
_BEFORE_NUMBER = re.compile(r"^(?:an?|the|over|about|approximately|around)\s+(?=\d)", re.IGNORECASE)
_SHORTEST_REST = 5
_TASKS = ("task_ids:", "task_categories:")
_VAGUE = re.compile("other|text-scoring|fill-mask|masked|tabular")
#: Lines of at most so many words are given their task.
_SHORT = 16

FEATURES = (
    "centrality", "position", "first", "data", "numbers", "starts_with_number", "name", "weak", "off_length",
    "length", "made", "language", "rewritten", "long_sentence", "leaning",
)  # fmt: skip
"""What a candidate is scored by, in the order of `Candidate.features`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line that could be the summary. `features`: numbers, as named in FEATURES."""

    line: str
    features: tuple[float, ...]


def best_line(text: str, title: str, tags: tuple[str, ...], weights: Mapping[str, float] | None = None) -> str:
    """One sentence of at most 25 words from a stripped card, or a line made of its title and tags; never empty.

    `weights` by name of feature; by default those that ship with hfmap.
    """
    found = candidates(text, title)
    if not found:
        return _fallback(title, tags)
    weights = weights or shipped_weights()
    chosen = [weights[name] for name in FEATURES]
    best = max(found, key=lambda c: sum(w * f for w, f in zip(chosen, c.features, strict=True)))
    return _with_task(best.line, tags)


def candidates(text: str, title: str) -> list[Candidate]:
    """The lines that a stripped card offers, in its order."""
    taken = [(i, s) for i, s in enumerate(_sentences(text[:_CHARS])[:_CANDIDATES]) if not _NOT_ABOUT.search(s)]
    shared = Counter(word for _, sentence in taken for word in set(_content(sentence)))
    name = set(_content(title))
    found = []
    for place, sentence in taken:
        line = _tidied(trim_summary(rewritten(_tidied(sentence))))
        if len(line.split()) >= 4 and summary_problem(line) is None and not _BROKEN.search(line) and _balanced(line):
            found.append(Candidate(line, _features(place, sentence, line, shared, name)))
    return found


def rewritten(sentence: str) -> str:
    """The sentence from where it begins to say what the records are; unchanged where little would be left."""
    match = _WE_MADE.match(sentence) or _IS_A.match(sentence) or _CONTAINS.match(sentence)
    if not match or len(sentence[match.end() :].split()) < _SHORTEST_REST:
        return sentence
    rest = _BEFORE_NUMBER.sub("", _SET_OF.sub("", sentence[match.end() :]))
    return rest[0].upper() + rest[1:]


@lru_cache(maxsize=1)
def shipped_weights() -> Mapping[str, float]:
    """The weights that ship with hfmap, by name of feature."""
    content: dict[str, float] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return content


def _sentences(text: str) -> list[str]:
    """Sentences that could stand alone, in order."""
    return [
        sentence
        for block in re.split(r"\n{2,}|\n(?=[A-Z0-9])", text)
        for sentence in sentences(" ".join(block.split()))
        if 5 <= len(sentence.split()) <= 80 and sum(c.isalpha() for c in sentence) > 0.6 * len(sentence)
    ]


def _content(sentence: str) -> list[str]:
    dull = _dull()
    return [word for match in _WORD.finditer(sentence) if (word := match.group().lower()) not in dull]


@lru_cache(maxsize=1)
def _dull() -> frozenset[str]:
    return frozenset(lexicon()["dull"])


def _features(place: int, sentence: str, line: str, shared: Counter[str], name: set[str]) -> tuple[float, ...]:
    words = set(_content(line))
    length = len(line.split())
    return (
        sum(math.log1p(max(shared[word] - 1, 0)) for word in sorted(words)) / math.sqrt(len(words) or 1),
        1 / (1 + 0.5 * place),
        float(place == 0),
        min(len(_DATA.findall(line)), 3),
        min(len(_NUMBER.findall(line)), 3),
        float(line[0].isdigit()),
        len(name & words) / (len(name) or 1),
        min(len(_WEAK.findall(sentence)), 3),
        abs(length - 20) / 10,
        length / 25,
        min(len(_MADE.findall(line)), 2),
        min(len(_LANGUAGE.findall(line)), 2),
        float(not sentence.startswith(line[:-1])),
        float(len(sentence.split()) > 40),
        float(bool(_LEANING.match(sentence))),
    )


def _tidied(text: str) -> str:
    """Without what stripping leaves behind: empty brackets, lone backslashes, marks at either end."""
    text = " ".join(_LEFT_BEHIND.sub(" ", text).split())
    text = re.sub(r"\s+([,.;:])", r"\1", text)
    text = re.sub(r"^[-\u2013\u2014\u2022*:;,.]+\s*(?=\S)", "", text)
    return re.sub(r"[\s:;,-]+(\.?)$", r"\1", text)


def _balanced(line: str) -> bool:
    return all(line.count(left) == line.count(right) for left, right in ("()", "[]")) and line.count('"') % 2 == 0


def _with_task(line: str, tags: tuple[str, ...]) -> str:
    """A short line with what the data is for added, from the card's own tags, where it does not say."""
    if not line.endswith(".") or not line[-2].isalnum() or len(line.split()) > _SHORT or re.search(r"\bfor\b", line):
        return line
    named = [tag.partition(":")[2] for prefix in _TASKS for tag in tags if tag.startswith(prefix)]
    task = next((name for name in named if re.fullmatch(r"[a-z][a-z-]{2,40}", name) and not _VAGUE.search(name)), None)
    if task is None:
        return line
    words = ["question answering" if word == "qa" else word for word in task.split("-")]
    if any(word[:5] in line.lower() for word in words):
        return line
    task = " ".join(words)
    longer = f"{line[:-1]} for {task}."
    return longer if summary_problem(longer) is None else line


def _fallback(title: str, tags: tuple[str, ...]) -> str:
    """A line from what is known without the text."""
    name = " ".join(re.sub(r"[-_/]+", " ", title).split())
    tasks = [tag.split(":", 1)[1].replace("-", " ") for tag in tags if tag.startswith("task_categories:")]
    tasks = [task for task in tasks if task != "other"]
    modality = next((tag.split(":", 1)[1] for tag in tags if tag.startswith("modality:")), "")
    kind = f"{modality.capitalize()} data" if modality else "Data"
    purpose = f" for {' and '.join(tasks[:2])}" if tasks else ""
    line = f"{kind}{purpose} published as {name}" if name else f"{kind}{purpose} without a description"
    return trim_summary(line)
