"""Line numbers of the values in a JSON file, so that an error in a hand-written one can point at its place.

The json module tells no positions; PyYAML does, but its readers refuse tabs before values or escaped characters
outside the basic plane.
"""

from __future__ import annotations

import json
import re
from json.decoder import JSONDecoder
from typing import Any

JsonPath = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^\s,\[\]{}]+")
_MAX_DEPTH = 50
_DECODER = JSONDecoder()


class PositionError(ValueError):
    """Text that is not JSON; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def parse(source: str) -> tuple[Any, dict[JsonPath, int]]:
    """Parse JSON with the line of each value.

    Returns the value, and the 1-based line of every value and object key by its path of keys and indices.

    Raises:
        PositionError: the text is not JSON, nests too deep, or names a key twice in one object.
    """
    try:
        value = json.loads(source)
    except json.JSONDecodeError as error:
        raise PositionError(error.msg, error.lineno) from None
    except RecursionError:
        raise PositionError("nested too deep", 1) from None
    lines: dict[JsonPath, int] = {}
    _Walker(source, lines).value(0, ())
    return value, lines


class _Walker:
    """Walks text that is known to be JSON; only positions are of interest here."""

    def __init__(self, source: str, lines: dict[JsonPath, int]) -> None:
        self.source = source
        self.lines = lines
        self._counted_to = 0
        self._line = 1

    def value(self, at: int, path: JsonPath) -> int:
        at = self._skip(at)
        self.lines.setdefault(path, self._line_at(at))
        if len(path) > _MAX_DEPTH:
            raise PositionError("nested too deep", self.lines[path])
        opener = self.source[at]
        if opener == '"':
            return self._string(at)[1]
        if opener not in "[{":
            match = _SCALAR.match(self.source, at)
            return match.end() if match else at + 1
        return self._members(self._skip(at + 1), path, is_object=opener == "{")

    def _members(self, at: int, path: JsonPath, *, is_object: bool) -> int:
        index = 0
        while self.source[at] not in "]}":
            key: str | int = index
            if is_object:
                line = self._line_at(at)
                key, at = self._string(at)
                if (*path, key) in self.lines:
                    raise PositionError(f'the key "{key}" stands twice in one object', line)
                self.lines[(*path, key)] = line
                at = self._skip(at) + 1
            at = self._skip(self.value(at, (*path, key)))
            if self.source[at] == ",":
                at = self._skip(at + 1)
            index += 1
        return at + 1

    def _string(self, at: int) -> tuple[str, int]:
        text, end = _DECODER.raw_decode(self.source, at)
        return str(text), end

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self.source, at)
        return match.end() if match else at

    def _line_at(self, at: int) -> int:
        # Positions only grow, so counting from the last one keeps this linear.
        self._line += self.source.count("\n", self._counted_to, at)
        self._counted_to = max(self._counted_to, at)
        return self._line
