"""Extractive summary: choose the sentence of a card that says best what the data are.

Every sentence that could stand alone is rewritten to open with what the records are and cut to 25 words; a linear
score picks one. Its weights (summary.json) are fitted by tools/make_models.py to agreement with reference summaries.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from unicodedata import category

from taxonomy.answers.summaries import DANGLING, sentences, summary_problem, trim_summary
from taxonomy.keyless import lexicon, openings

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
#: One person or event: a record, perhaps, rather than all of them.
_EXAMPLE = re.compile(r"\b(?:his|her|he|she|said|finished|won|died|born)\b|^[^,.]*\b(?:must|should)\b", re.IGNORECASE)
_LEANING = re.compile(
    r"(?:however|these|they|for|in|to|as|when|if|each|all|its|it|there|but|also|thus)\b", re.IGNORECASE
)
_JOINERS = "\u200c\u200d"
#: Characters of a title in a summary.
_MOST_OF_NAME = 100
#: Sentences about getting, citing or licensing the data, or about the card, are no summaries of it.
_NOT_ABOUT = re.compile(
    r"\b(?:download(?:s|ed|able|ing)?|licen[sc]e[ds]?|licensing|copyright(?:ed)?|(?<!-)cit(?:e|ation)s?|bibtex|readme|click|http"
    r"|(?:data(?:set)?|model) cards?|this card|raw template|pip install|load_dataset|pull request|more information|dataset description|homepage|table of contents|huggingface|hugging face"
    r"|to (?:load|use|access)|you can|can (?:also )?be used|looks? (?:as follows|like)|following fields|may be offensive"
    r"|examples? (?:of|from) (?:the|questions)|among all splits|data (?:fields|splits|files)|not split\w*|int32|int64"
    r"|under (?:the |an? )?(?:apache|mit|cc|creative|gpl|open)"
    r"|content warning|not (?:publicly )?available|thanks?|acknowledg\w+|contact|pytorch|implementation of|source code (?:of|for)|official (?:repo|code|github)\w*)\b",
    re.IGNORECASE,
)
#: "label: a classification label", "Ner_tags: Array of tags": what a column holds.
_FIELD = re.compile(
    r"['\"]?(?:[a-z][\w-]*|(?:text|labels?|sentences?|inputs?|outputs?|ids?|documents?|questions?|answers?|contexts?|titles?"
    r"|tokens?|tags?|source|target|summary|category|premise|hypothesis|url|word|language|score|train|test"
    r"|\w+_\w+))['\"]?(?:\s\([^()]{1,30}\))?\s?:\s",
    re.IGNORECASE,
)
_BROKEN = re.compile(
    r"<[^<>]*>|[{}|\\]|\(\s*\)|\w_\w+_|&\w+;|^\W|\.\.\.|\S{40}|[:;,(?]\W*$|\bviz\.?$"
    # rows of tables
    r"|\d[\d,.]*\s+\d[\d,.]*\s+\d"
)
_LEFT_BEHIND = re.compile(r"\((?:\s*(?:see|cf|e\.g|at|here))?\s*[,;.]*\s*\)|\[\s*\]|\\(?=\s|$)")
_CANDIDATES = 40
_CHARS = 6_000

_TASKS = ("task_ids:", "task_categories:")
_FINITE = re.compile(r"\b(?:is|are|was|were|be|been|has|have|can|will|may)\b", re.IGNORECASE)
_COLUMN = re.compile(r"\b[\w-]+:\s")
_LETTERS_A_WORD = 3.2
_VAGUE = re.compile("other|text-scoring|fill-mask|masked|tabular")
_IN_WORDS = {
    "conversational": "conversations",
    "fill-mask": "language modeling",
    "text2text-generation": "text generation",
}
_COMPOUND = re.compile(r"\b(multi|open|closed|multiple) (class|label|input|domain|choice)\b")
_UNSPACED = re.compile(r"(?<=[a-z]{3})\.(?=[A-Z][a-z]+\s)")
#: Where the bars of a table stood there are runs of spaces now.
_CELLS = re.compile(r"^[^\n]*\S {3}\S[^\n]*\S {3}\S[^\n]*$", re.MULTILINE)
#: A line of a card that is so long was broken by its writer's editor.
_WRAPPED_AT = 60
#: Lines of at most so many words are given their task.
_SHORT = 16

FEATURES = (
    "centrality", "position", "first", "data", "numbers", "starts_with_number", "name", "weak", "off_length",
    "length", "made", "language", "rewritten", "long_sentence", "leaning", "example",
)  # fmt: skip
"""What a candidate is scored by, in the order of `CandidateLine.features`."""


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """Candidate for the summary. `features`: numbers, as named in FEATURES."""

    line: str
    features: tuple[float, ...]


def best_line(text: str, title: str, tags: tuple[str, ...], weights: Mapping[str, float] | None = None) -> str:
    """Choose one sentence of at most 25 words from a stripped card, or make a line of its title and tags; never empty.

    `weights` by name of feature; by default those that ship with hfmap.
    """
    found = candidates(text, title)
    if not found:
        return _fallback(title, tags)
    weights = weights or shipped_weights()
    chosen = [weights[name] for name in FEATURES]
    best = max(found, key=lambda c: sum(w * f for w, f in zip(chosen, c.features, strict=True)))
    return _with_task(best.line, tags)


def candidates(text: str, title: str) -> list[CandidateLine]:
    """Collect the lines of a stripped card that could be its summary, in its order."""
    title = _printable(title)
    first = [_printable(sentence) for sentence in _sentences(text[:_CHARS])[:_CANDIDATES]]
    taken = [(i, s) for i, s in enumerate(first) if not _NOT_ABOUT.search(s)]
    shared = Counter(word for _, sentence in taken for word in set(_content(sentence)))
    name = set(_content(title))
    found = []
    for place, sentence in taken:
        opened = openings.rewritten(_tidied(sentence), title)
        line = _tidied(opened) if opened else ""
        if len(line.split()) >= 4 and summary_problem(line) is None and _reads_well(line):
            found.append(CandidateLine(line, _features(place, sentence, line, shared, name)))
    return found


def _reads_well(line: str) -> bool:
    """Whether nothing is broken off or left over, and it is words rather than a list of codes or columns."""
    letters = [len(word) for word in re.findall(r"[^\W\d_]+", line)]
    return (
        not _BROKEN.search(line)
        and _balanced(line)
        and not DANGLING.search(line.rstrip("."))
        and len(_COLUMN.findall(line)) < 2
        and sum(letters) >= _LETTERS_A_WORD * len(letters)
    )


@lru_cache(maxsize=1)
def shipped_weights() -> Mapping[str, float]:
    """Load the weights that ship with hfmap, by name of feature."""
    content: dict[str, float] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return content


def _sentences(text: str) -> list[str]:
    """Sentences that could stand alone, in order."""
    return [
        sentence
        for block in _blocks(text)
        for sentence in sentences(_UNSPACED.sub(". ", " ".join(block.split())))
        if 5 <= len(sentence.split()) <= 80
        and sum(c.isalpha() for c in sentence) > 0.6 * len(sentence)
        and not _is_column(sentence)
    ]


def _is_column(sentence: str) -> bool:
    """Whether a sentence tells what a column holds. A name before a colon has a capital or a digit inside."""
    match = _FIELD.match(sentence)
    return match is not None and not re.search(r"[A-Z0-9]", match.group()[1:])


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs and items of lists; a line that was only wrapped at its end goes on in the next."""
    block: list[str] = []
    for line in _CELLS.sub("", text).split("\n"):
        begins = line[:1].isupper() or line[:1].isdigit()
        wrapped = block and len(block[-1]) >= _WRAPPED_AT and block[-1].rstrip()[-1] not in ".!?:"
        if block and (not line.strip() or (begins and not wrapped)):
            yield "\n".join(block)
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield "\n".join(block)


def _content(sentence: str) -> list[str]:
    dull = lexicon.dull_words()
    return [word for match in _WORD.finditer(sentence) if (word := match.group().lower()) not in dull]


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
        float(bool(_EXAMPLE.search(line))),
    )


def _tidied(text: str) -> str:
    """Without what stripping leaves behind: empty brackets, lone backslashes, marks at either end."""
    text = " ".join(_LEFT_BEHIND.sub(" ", text).split())
    text = re.sub(r"\s+([,.;:])(?=\s|$)", r"\1", text)
    text = re.sub(r"^[-\u2013\u2014\u2022*:;,.]+\s*(?=\S)", "", text)
    return re.sub(r"[\s:;,-]+(\.?)$", r"\1", text)


def _balanced(line: str) -> bool:
    return all(line.count(left) == line.count(right) for left, right in ("()", "[]")) and line.count('"') % 2 == 0


def _with_task(line: str, tags: tuple[str, ...]) -> str:
    """A short line with what the data is for added, from the card's own tags, where it does not say."""
    whole = line.endswith(".") and line[-2].isalnum() and not _FINITE.search(line)
    if not whole or len(line.split()) > _SHORT or re.search(r"\bfor\b", line):
        return line
    named = [tag.partition(":")[2] for prefix in _TASKS for tag in tags if tag.startswith(prefix)]
    task = next((name for name in named if re.fullmatch(r"[a-z][a-z-]{2,40}", name) and not _VAGUE.search(name)), None)
    if task is None:
        return line
    words = ["question answering" if word == "qa" else word for word in task.split("-")]
    if any(word[:5] in line.lower() for word in words):
        return line
    purpose = _COMPOUND.sub(r"\1-\2", " ".join(words))
    longer = f"{line[:-1]} for {purpose}."
    return longer if summary_problem(longer) is None else line


def _printable(text: str) -> str:
    """One line without control characters or marks that turn the direction of writing.

    Joiners stay: Persian and the scripts of India need them.
    """
    kept = (c if c.isprintable() or c in _JOINERS else "" if category(c) == "Cf" else " " for c in text)
    return " ".join("".join(kept).split())


def _fallback(title: str, tags: tuple[str, ...]) -> str:
    """A line from what is known without the text."""
    # Titles and tags are a card's own: what is no word of them stays out.
    name = _printable(re.sub(r"<[^<>]*>|[-_/<>|]+", " ", title))[:_MOST_OF_NAME].strip(" .")
    given = [tag.split(":", 1)[1] for tag in tags if tag.startswith("task_categories:")]
    given = [task for task in given if task != "other" and re.fullmatch(r"[a-z0-9][a-z0-9-]{2,40}", task)]
    tasks = [_IN_WORDS.get(task, task.replace("-", " ")) for task in given]
    modality = next((tag.split(":", 1)[1] for tag in tags if tag.startswith("modality:")), "")
    kind = f"{modality.capitalize()} data" if modality else "Data"
    purpose = f" for {' and '.join(tasks[:2])}" if tasks else ""
    line = f"{kind}{purpose} published as {name}" if name else f"{kind}{purpose} without a description"
    return trim_summary(line)
