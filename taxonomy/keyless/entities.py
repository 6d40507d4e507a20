"""Entities named in a card: places (geo_scope) and the models that made the data (upstream_models).

Silent when in doubt: a field is left open rather than filled with a guess.
"""

from __future__ import annotations

import re
from functools import lru_cache

_CAPITALS = re.compile(r"[A-Z][a-z]+(?:[ -](?:and |of (?:the )?)?[A-Z][a-z]+){0,9}")
_NAME_PART = re.compile(r"[A-Za-z]+")
_LONGEST_NAME = 4
#: Also first names, units or words of English.
_AMBIGUOUS = {
    "Jordan",
    "Georgia",
    "Chad",
    "Guinea",
    "Jersey",
    "World",
    "Niger",
    "Dominica",
    "Reunion",
    "Outlying Oceania",
    "United Nations",
}
_USUAL = {"United States": ("USA", "United States of America"), "United Kingdom": ("UK", "Great Britain", "England")}
_REGIONS = (
    "Africa",
    "Asia",
    "Europe",
    "Latin America",
    "South America",
    "North America",
    "Southeast Asia",
    "Middle East",
    "Scandinavia",
)
_SHORT = re.compile(r"\b(?:USA|UK)\b")
_GLOBAL = re.compile(
    r"\b(?:worldwide|around the (?:world|globe)|across the (?:world|globe)|all over the world|global coverage"
    r"|globally distributed|every continent)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s)|\n")

_MODEL = re.compile(
    r"\b(?:GPT[- ]?(?:[345](?:\.\d)?|4o)(?:[- ](?:mini|nano|turbo|Turbo|0613|vision|V|OSS|oss)(?:-\d+[bB])?)?"
    r"|gpt-oss-\d+b|ChatGPT|text-davinci-00\d"
    r"|o[134](?:-(?:mini|preview))\b|Claude(?:[ -](?:\d(?:\.\d)?|Opus|Sonnet|Haiku|Instant|v\d)){0,3}"
    r"|(?:Meta-)?[Ll]l?a[Mm][Aa][- ]?\d(?:\.\d)?(?:-\d+[bB])?(?:-(?:[Ii]nstruct|[Cc]hat|Nemotron)){0,2}"
    r"|Mi[sx]tral(?:[- ](?:Large|Small|\d+x?\d*[bB]))?(?:-Instruct)?(?:-v0\.\d)?"
    r"|Qwen[- ]?\d?(?:\.\d)?(?:-(?:VL|Coder|Math|Max))?(?:-\d+[bB])?(?:-A\d+B)?(?:-Instruct)?|QwQ(?:-32B)?"
    r"|DeepSeek[- ](?:R1|V\d(?:\.\d)?|Coder|Math|Prover)(?:-\w+)?"
    r"|Gemini(?:[ -]\d(?:\.\d)?)?(?:[ -](?:Pro|Flash|Ultra))?|Gemma[- ]?\d?(?:-\d+[bB])?(?:-it)?"
    r"|Phi-\d(?:\.\d)?|Nemotron-\d[\w-]{0,20}|Kimi[- ]K\d(?:\.\d)?|GLM-\d(?:\.\d)?"
    r"|Stable Diffusion(?: (?:XL|\d(?:\.\d)?))?|SDXL|FLUX(?:\.\d)?(?:[- ](?:dev|pro|schnell))?"
    r"|DALL[-·]E(?: ?\d)?|Midjourney(?: v?\d(?:\.\d)?)?|NLLB(?:-200)?|GPT-J|Whisper)(?![\w])"
)
_MADE = re.compile(
    r"\b(?:generat|synthes|synthetic|distill|produc|creat|written|wrote|sampl|respons|output|completion"
    r"|captioned|translat|rewritten|augment|annotated|answers?|prompt(?:ed|ing)|collected from|traces?)\w*",
    re.IGNORECASE,
)
_NOT_MADE = re.compile(
    r"\b(?:train(?:ed|ing)?|fine-?tun\w+|evaluat\w+|outperform\w*|baselines?|accuracy|scores?|benchmark\w*"
    r"|compar\w+|tokeni\w+|decontaminat\w+|compatible|beats?|format)\b",
    re.IGNORECASE,
)
_MOST = 5


def places(text: str) -> dict[str, tuple[int, int]]:
    """Find countries and regions in a text, in order, each with its first offsets; "global" alone if claimed."""
    found: dict[str, tuple[int, int]] = {}
    for match in _CAPITALS.finditer(text):
        for start, end in _names_in(text, match):
            found.setdefault(_places()[text[start:end]], (start, end))
    for match in _SHORT.finditer(text):
        found.setdefault(_places()[match.group()], match.span())
    claim = _GLOBAL.search(text)
    if claim and not found:
        return {"global": claim.span()}
    # A long list of countries is a table of something, not the scope.
    return found if len(found) <= _MOST else {}


def _names_in(text: str, match: re.Match[str]) -> list[tuple[int, int]]:
    """The places in a run of capitalized words ("In Norway and Trinidad and Tobago"), the longest names first."""
    words = [part.span() for part in _NAME_PART.finditer(text, *match.span())]
    found, at = [], 0
    while at < len(words):
        for upto in range(min(at + _LONGEST_NAME, len(words)), at, -1):
            span = (words[at][0], words[upto - 1][1])
            if text[slice(*span)] in _places():
                found.append(span)
                at = upto
                break
        else:
            at += 1
    return found


def generators(text: str) -> dict[str, tuple[int, int]]:
    """Find the models that a text says made the data, each with its first offsets: named in a sentence about making."""
    found: dict[str, tuple[int, int]] = {}
    folded: set[str] = set()
    for match in _MODEL.finditer(text):
        start, end = sentence_around(text, *match.span())
        sentence = text[start:end]
        name = match.group().strip(" -")
        key = re.sub(r"[\W_]", "", name).lower()
        if key not in folded and _MADE.search(sentence) and not _NOT_MADE.search(sentence):
            folded.add(key)
            found[name] = match.span()
    return dict(list(found.items())[:_MOST])


def sentence_around(text: str, start: int, end: int, reach: int = 300) -> tuple[int, int]:
    """Find the offsets of the sentence that holds a span, at most `reach` characters to each side."""
    left = max(0, start - reach)
    for match in _SENTENCE_END.finditer(text, left, start):
        left = match.end()
    stop = _SENTENCE_END.search(text, end, min(len(text), end + reach))
    right = stop.end() if stop else min(len(text), end + reach)
    while left < start and text[left].isspace():
        left += 1
    while right > end and text[right - 1].isspace():
        right -= 1
    return left, right


@lru_cache(maxsize=1)
def _places() -> dict[str, str]:
    from babel import Locale

    names = {str(name): str(name) for code, name in Locale("en").territories.items() if len(code) == 2}
    names |= {region: region for region in _REGIONS}
    names |= {other: name for name, others in _USUAL.items() for other in others}
    names["Turkey"] = "Turkey"
    return {name: usual for name, usual in names.items() if name not in _AMBIGUOUS}
