"""JSON repair: find and read the JSON in a model's answer, however it is wrapped or broken.

Nothing here raises on any text, and all of it takes linear time: answers are untrusted. What was cut off is marked
(`CutText`, `CutList`), so that half a value is never taken for a whole one.

The package json-repair is no substitute: it gives half a value like a whole one, loses a name before a brace that
is missing, and raises on deep nesting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

MAX_ANSWER = 200_000
_MAX_DEPTH = 12
_MAX_STARTS = 40
_BARE = re.compile(r"[^\s,:\[\]{}\"'\u201c\u201d]+")
_SPACE = re.compile(r"(?:[\s,]|(?://|#)[^\n]*+|/\*(?:[^*]|\*(?!/)){0,500}+\*/)*+")
_CLOSERS = {'"': '"', "'": "'", "\u201c": "\u201c\u201d", "\u201d": "\u201c\u201d"}
"""Which marks close a string, by the one that opens it: some models write curly ones."""
_STRING = {marks: re.compile(rf"[^{marks}\\]*+(?:\\.[^{marks}\\]*+)*+", re.DOTALL) for marks in _CLOSERS.values()}
_AFTER_STRING = re.compile(
    r"\s*+(?:[}\]:{\[]|//|#|/\*|$)|\s*\n\s*[\"'\u201c\u201d]"
    r"|\s*+,\s*+(?:[\"'\u201c\u201d{}\[\]\d/#-]|$|(?:true|false|null|none)\b|[A-Za-z_]\w{0,80}\s*:)",
    re.IGNORECASE,
)
_MOST_MARKS = 50
"""Quotation marks inside a string that are tried as its end."""
_HEADLESS = re.compile(r'\s*(?:```\w*\s*)?"[^"\n{}]{1,80}"\s*:\s*[{\["]')
_ESCAPED = re.compile(r'[{\[]\s*\\"')
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "none": None}


class CutText(str):
    """A string whose end is missing."""

    __slots__ = ()


class CutList(list[Any]):
    """A list whose end is missing."""


def objects(answer: str) -> Iterator[Any]:
    """Find the JSON objects and arrays of an answer, in order; read strictly where possible, loosely otherwise."""
    text = answer[:MAX_ANSWER]
    try:
        whole = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    else:
        # Some models answer with JSON inside a JSON string.
        if isinstance(whole, str):
            yield from _pieces(whole)
        else:
            yield whole
        return
    yield from _pieces(text)


def _pieces(text: str) -> Iterator[Any]:
    strict = json.JSONDecoder(strict=False)
    if _HEADLESS.match(text):
        text = "{" + text.lstrip().lstrip("`")  # some models go on from a brace that they were never given
    elif _ESCAPED.search(text):
        text = text.replace('\\"', '"')  # JSON inside a JSON string whose own marks are missing
    at = 0
    for _ in range(_MAX_STARTS):
        brace, bracket = text.find("{", at), text.find("[", at)
        at = min((place for place in (brace, bracket) if place >= 0), default=-1)
        if at < 0:
            return
        try:
            value, at = strict.raw_decode(text, at)
        except (ValueError, RecursionError):
            value, at = _Loose(text).value(at, 0)
        yield value


class _Loose:
    """A recursive reader that takes what it gets: each method returns the value and the next offset."""

    def __init__(self, text: str) -> None:
        self.text = text

    def value(self, at: int, depth: int) -> tuple[Any, int]:
        at = self._skip(at)
        opener = self.text[at : at + 1]
        if opener in {"{", "["} and depth >= _MAX_DEPTH:
            return None, len(self.text)
        if opener == "{":
            return self._object(at + 1, depth + 1)
        if opener == "[":
            return self._array(at + 1, depth + 1)
        if opener in _CLOSERS:
            return self._string(at)
        match = _BARE.match(self.text, at)
        if not match:
            return None, at + 1
        return self._bare(match.group(), match.end())

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        while True:
            at = self._skip(at)
            head = self.text[at : at + 1]
            if head in {"", "]"}:
                return found, at
            if head == "}":
                return found, at + 1
            key, at = self.value(at, depth)
            at = self._skip(at)
            follows = self.text[at : at + 1]
            if follows not in {":", "{", "["}:
                if not isinstance(key, str):
                    return found, at
                continue  # a key without a value: the answer ends here, or the rest is prose
            value, at = self.value(at + (follows == ":"), depth)
            if isinstance(key, str) and not isinstance(key, CutText):
                found[key] = value

    def _array(self, at: int, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        while True:
            at = self._skip(at)
            head = self.text[at : at + 1]
            if head in {"", "}", ":"}:
                return CutList(found), at
            if head == "]":
                return found, at + 1
            value, at = self.value(at, depth)
            found.append(value)

    def _string(self, at: int) -> tuple[str, int]:
        marks = _CLOSERS[self.text[at]]
        first = end = self._next_mark(marks, at + 1)
        # A mark that nothing of JSON follows is part of the text: its author forgot to escape it.
        for _ in range(_MOST_MARKS):
            if end >= len(self.text) or _AFTER_STRING.match(self.text, end + 1):
                break
            end = self._next_mark(marks, end + 1)
        else:
            end = first
        end = first if end >= len(self.text) else end
        content = _ESCAPE.sub(_unescape, self.text[at + 1 : end])
        if end >= len(self.text):
            return CutText(content), len(self.text)
        return content, end + 1

    def _next_mark(self, marks: str, at: int) -> int:
        """The offset of the next mark that is not escaped, or the end of the text."""
        match = _STRING[marks].match(self.text, at)
        end = match.end() if match else at
        return end if self.text[end : end + 1] not in {"", "\\"} else len(self.text)

    def _bare(self, word: str, end: int) -> tuple[Any, int]:
        if word.lower() in _WORDS:
            return _WORDS[word.lower()], end
        return (CutText(word) if end >= len(self.text) else word), end

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at


def _unescape(match: re.Match[str]) -> str:
    escape = match.group(1)
    if len(escape) == 5:
        code = int(escape[1:], 16)
        return chr(code) if not 0xD800 <= code <= 0xDFFF else "\ufffd"
    return _ESCAPES.get(escape, escape)
