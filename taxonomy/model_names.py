"""Spellings of model names: those that differ only in how they are written, brought to the most used one.

Case, spaces, hyphens and underscores say nothing, but where they stand between two numbers: "Llama-2-70B" has two
and "Llama 270B" one. A dot between numbers is a hyphen in a version ("claude-3-5-sonnet") and part of a number
before a size ("GPT-Neo-2.7B"). Every other sign counts ("Command R" and "Command R+", "org/name" and "name").
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping

# Dashes of every kind, the dots that stand for one ("DALL·E"), and what takes no space.
_SEPARATORS = re.compile(
    r"[\s_\u00ad\u00b7\u200b-\u200d\u2060\ufeff\u2010-\u2015\u2022\u2212\u2219\u22c5\u30fb\ufe63\uff0d-]+"
)
_SIZE = re.compile(r"(?<![\d.])(\d+)\.(\d+)(?=[bmkt](?![a-z0-9]))")
_DOT_IN_VERSION = re.compile(r"(?<=\d)\.(?=\d)")
_DOT = re.compile(r"\.(?!\d)|(?<!\d)\.")
_BESIDE_NO_DIGITS = re.compile(r"(?<!\d)-|-(?!\d)")


def spelling_key(name: str) -> str:
    """Fold a model's name to a key that is equal for two spellings of the same model.

    Never empty for a name that is not.
    """
    text = _SEPARATORS.sub("-", unicodedata.normalize("NFKC", name).casefold().strip())
    text = _SIZE.sub(r"\1,\2", text)  # a comma keeps the number whole
    text = _DOT_IN_VERSION.sub("-", text)
    text = _DOT.sub("", text)
    return _BESIDE_NO_DIGITS.sub("", text) or name


def usual_spellings(counts: Mapping[str, int], *, preferred: Mapping[str, int] | None = None) -> dict[str, str]:
    """Choose the spelling to show for each name, by name; names that are shown as they are are left out.

    Of the names that mean one model the most counted wins; of equals, one with capitals, then the first in code
    point order. Names in `preferred` (with their own counts) win over those that are not.
    """
    chosen = preferred or {}
    groups: dict[str, list[str]] = defaultdict(list)
    for name in {**counts, **chosen}:
        groups[spelling_key(name)].append(name)
    usual: dict[str, str] = {}
    for names in groups.values():
        best = min(names, key=lambda n: (-chosen.get(n, 0), -counts.get(n, 0), n == n.lower(), n))
        usual |= {name: best for name in names if name != best}
    return usual
