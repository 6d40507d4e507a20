"""Locate quotes in the card they claim to come from, and clip them to 25 words.

Models copy a sentence and tidy it: straight quotation marks for curly ones, one space for a line break, no
asterisks. Both sides are folded the same way before they are compared, and every folded character remembers where it
stood, so that the span found is a span of the original card.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

MAX_WORDS = 25
#: Scripts without spaces make "words" of any length; this bounds them.
MAX_CHARS = 400

_MARKS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-")
    | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad")
)
_PLAIN = re.compile(r"[A-Za-z0-9,.;:!?()\[\]/\-'\"=+%$#@&|<>{}\\^]+")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\S+")
_EDGES = " \t\r\n'\"\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"


@dataclass(frozen=True, slots=True)
class _Folded:
    text: str
    starts: tuple[int, ...]
    """For each folded character, where the original of it begins …"""
    ends: tuple[int, ...]
    """… and ends."""


def locate(quote: str, card: str) -> tuple[int, int] | None:
    """Locate `quote` in `card`: the offsets (start, end) of the first such span of `card`, or None.

    White space, Unicode form (NFKC), quotation marks, dashes and markdown emphasis do not count; case does. A quote
    without a letter or digit is nowhere. Takes time linear in the two lengths.
    """
    unwrapped = _unwrap(quote)
    wanted = _fold(unwrapped).text.strip()
    if not any(character.isalnum() for character in wanted):
        return None
    for verbatim in (quote.strip(), unwrapped):
        if (at := card.find(verbatim)) >= 0:
            return at, at + len(verbatim)
    folded = _fold_card(card)
    at = folded.text.find(wanted)
    if at < 0:
        return None
    return folded.starts[at], folded.ends[at + len(wanted) - 1]


def clip(quote: str, words: int = MAX_WORDS) -> str:
    """Clip a quote to its first `words` words and 400 characters: a verbatim beginning of `quote`, stripped."""
    start, end = clip_span(quote, words)
    return quote[start:end]


def clip_span(quote: str, words: int = MAX_WORDS) -> tuple[int, int]:
    """Find the offsets of what `clip` returns."""
    start = end = 0
    for count, match in enumerate(_WORD.finditer(quote)):
        if count == 0:
            start = end = match.start()
        if count == words:
            break
        if match.end() - start > MAX_CHARS:
            # A single endless word is cut inside; otherwise the last whole word stays the end.
            end = start + MAX_CHARS if count == 0 else end
            break
        end = match.end()
    return start, end


def _unwrap(quote: str) -> str:
    """Without the quotation marks and dots that models put round a quote."""
    inner = quote.strip(_EDGES)
    for dots in ("...", "\u2026"):
        inner = inner.removeprefix(dots).removesuffix(dots)
    return inner.strip(_EDGES)


@lru_cache(maxsize=32)
def _fold_card(card: str) -> _Folded:
    # All quotes of one answer are looked up in the same card.
    return _fold(card)


def _fold(text: str) -> _Folded:
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at, size = 0, len(text)
    after_space = False
    while at < size:
        plain = _PLAIN.match(text, at)
        if plain:
            end = plain.end()
            if end < size and ord(text[end]) > 0x7F and end - at > 0 and _joins(text[end]):
                end -= 1  # the last letter carries an accent that follows it
            if end > at:
                out.append(text[at:end])
                starts.extend(range(at, end))
                ends.extend(range(at + 1, end + 1))
                at = end
                after_space = False
                continue
        space = _SPACE.match(text, at)
        if space:
            end = space.end()
            folded = "" if after_space else " "
        else:
            end = at + 1
            while end < size and _joins(text[end]):
                end += 1
            folded = _fold_cluster(text, at, end)
            if folded.isspace() or (after_space and folded[:1].isspace()):
                folded = "" if after_space else " "
        if folded:
            out.append(folded)
            starts.extend([at] * len(folded))
            ends.extend([end] * len(folded))
            after_space = folded[-1] == " "
        at = end
    return _Folded("".join(out), tuple(starts), tuple(ends))


def _fold_cluster(text: str, start: int, end: int) -> str:
    """Fold one character with the marks that join it."""
    character = text[start]
    if end == start + 1:
        if character in "*`":
            return ""
        if character == "~":
            doubled = text[start + 1 : start + 2] == "~" or text[start - 1 : start] == "~"
            return "" if doubled else "~"
        if character == "_":
            # Between two letters an underscore belongs to the word; elsewhere it is emphasis.
            inside = start > 0 and text[start - 1].isalnum() and text[end : end + 1].isalnum()
            return "_" if inside else ""
    cluster = text[start:end].translate(_MARKS)
    return unicodedata.normalize("NFKC", cluster).translate(_MARKS)


def _joins(character: str) -> bool:
    """Whether a character composes with the one before it: combining marks, and Hangul vowels and finals."""
    return ord(character) > 0x7F and (unicodedata.combining(character) != 0 or "\u1160" <= character <= "\u11ff")
