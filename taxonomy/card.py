"""Dataset cards (README.md): decode, split, read their YAML front matter, merge their metadata.

Nothing here raises: a bad card has problems, not errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from taxonomy.cardtext import split_front_matter

MAX_CARD_BYTES = 2_000_000
"""Longer cards are cut here: the longest on the Hub are generated tables, not descriptions."""

SHORTEST_BODY = 200
"""Characters below which a card says too little to be placed (the published map's threshold)."""

# Scalars stay strings: with YAML 1.1's types, the language code `no` would be false and a size of 12 a number.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

MAX_FRONT_MATTER = 1_000_000
"""Characters of front matter that are parsed; beyond lie only generated lists of files."""

DEEPEST = 50
"""Levels of nesting in front matter that are read; what YAML's readers do with a hundred thousand ends the process."""

MAX_VALUES = 200
"""Values kept of one metadata key. A card with more lists every language there is."""

Metadata = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it is stored and used.

    Attributes:
        text: the whole card, decoded, without a byte-order mark.
        body: the text after the front matter, white space stripped at both ends.
        front_matter: what the front matter says; empty where it is absent or invalid.
        status: whether there is front matter and it could be read.
        problems: sentences about what was wrong with the bytes or the front matter.
    """

    text: str
    body: str
    front_matter: Mapping[str, Any]
    status: Literal["ok", "none", "invalid"]
    problems: tuple[str, ...]

    @property
    def input_hash(self) -> str:
        """SHA-256 of the text in hex: what results are made from, and stored under."""
        return _hash(self.text)

    @property
    def long_enough(self) -> bool:
        """Whether the body says enough to be placed on the map."""
        return len(self.body) >= SHORTEST_BODY

    @property
    def body_offset(self) -> int:
        """Offset of the body in the text, in characters."""
        return self.text.index(self.body, max(0, len(self.text.rstrip()) - len(self.body) - 1)) if self.body else 0

    @property
    def declared(self) -> dict[str, list[str]]:
        """Metadata of the front matter under the keys that hfmap reads, as lists of tidied strings."""
        names = sorted({*METADATA_KEYS, "tags"})
        found = {name: list(_texts(self.front_matter.get(name))) for name in names}
        return {name: values for name, values in found.items() if values}

    @property
    def title(self) -> str:
        """Title: the pretty name, or the first heading, or nothing."""
        named = _texts(self.front_matter.get("pretty_name"))
        if named:
            return named[0]
        for line in self.body.splitlines()[:40]:
            if line.startswith("# ") and line[2:].strip():
                return line[2:].strip()[:200]
        return ""

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags of the card's own front matter, as the Hub writes them: `task_categories:translation`, `biology`."""
        prefixed = (
            (prefix, value)
            for names, prefix in _KEYS.values()
            for name in names
            for value in _texts(self.front_matter.get(name))
        )
        tags = [f"{prefix}{value}" for prefix, value in prefixed]
        return tuple(dict.fromkeys((*tags, *_texts(self.front_matter.get("tags")))))


@dataclass(frozen=True, slots=True)
class CardInput:
    """A card as the stages see it: what is embedded, and what fields and summary are made from.

    Attributes:
        text: the body without front matter, perhaps cut.
        title: the pretty name, the first heading or the repository's name.
        tags: as the Hub writes them ("task_categories:translation").
    """

    text: str
    title: str
    tags: tuple[str, ...] = ()


def parse_card(raw: bytes | str) -> Card:
    """Decode a card and read its front matter."""
    text, problems = _decoded(raw)
    source, body = split_front_matter(text)
    front_matter: Mapping[str, Any] = {}
    status: Literal["ok", "none", "invalid"] = "none"
    if source is not None:
        front_matter, problem = _front_matter(source)
        status = "ok" if problem is None else "invalid"
        if problem is not None:
            problems.append(problem)
    return Card(text, body.strip(), front_matter, status, tuple(problems))


def input_hash_of(raw: bytes | str) -> str:
    """Hash a card as `parse_card(raw).input_hash` does, without reading the front matter."""
    return _hash(_decoded(raw)[0])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _decoded(raw: bytes | str) -> tuple[str, list[str]]:
    """The text of a card, and what was wrong with its bytes."""
    problems: list[str] = []
    if isinstance(raw, bytes):
        if len(raw) > MAX_CARD_BYTES:
            raw = raw[:MAX_CARD_BYTES]
            problems.append(f"cut at {MAX_CARD_BYTES:,} bytes")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            text = raw.decode("utf-8-sig", "replace")
            if not problems or error.start < len(raw) - 4:
                problems.append(f"not UTF-8 at byte {error.start}; undecodable bytes were replaced")
    else:
        text = raw.removeprefix("\ufeff").encode("utf-8", "replace").decode("utf-8")
    if "\x00" in text:
        # SQLite's text functions and C libraries stop at a NUL.
        text = text.replace("\x00", "\ufffd")
        problems.append("NUL characters were replaced")
    return text, problems


def _front_matter(source: str) -> tuple[Mapping[str, Any], str | None]:
    if len(source) > MAX_FRONT_MATTER:
        return {}, f"front matter of {len(source):,} characters is not read"
    try:
        if _too_deep(source):
            return {}, f"front matter is nested more than {DEEPEST} levels deep"
        loaded = yaml.load(source, Loader=_LOADER)  # noqa: S506  (a BaseLoader makes only str, list and dict)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 2}" if mark is not None else ""
        what = getattr(error, "problem", None) or type(error).__name__
        return {}, f"front matter is not YAML{where}: {what}"
    except ValueError as error:
        return {}, f"front matter cannot be read: {type(error).__name__}"
    if not isinstance(loaded, dict):
        if loaded in ("", None):
            return {}, None
        return {}, f"front matter is a {type(loaded).__name__}, not a mapping"
    return {key: value for key, value in loaded.items() if isinstance(key, str)}, None


def _too_deep(source: str) -> bool:
    depth = 0
    for event in yaml.parse(source, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return True
    return False


def _texts(value: object) -> tuple[str, ...]:
    """Read strings from what should be a string or a list of strings but may be anything."""
    if isinstance(value, str):
        values: Iterable[object] = (value,)
    elif isinstance(value, (list, tuple)):
        values = value[:MAX_VALUES]
    elif isinstance(value, dict):
        # Some cards give one list per configuration.
        values = [x for part in list(value.values())[:MAX_VALUES] for x in (part if isinstance(part, list) else [part])]
    elif isinstance(value, bool):
        # A listing's JSON has typed `language: no` already; Norwegian is the only language that reads as false.
        values = () if value else ("no",)
    elif isinstance(value, (int, float)):
        values = (str(value),)
    else:
        values = ()
    tidied = (" ".join(v.split())[:300] for v in values if isinstance(v, str))
    # YAML and JSON can carry halves of characters (lone surrogates), which nothing can store.
    kept = (v if v.isascii() else v.encode("utf-8", "replace").decode("utf-8") for v in tidied)
    return tuple(dict.fromkeys(v for v in kept if v))[:MAX_VALUES]


# Our name of a metadata key: the front matter's names for it, and the prefix of the Hub's tags.
_KEYS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "license": (("license",), "license:"),
    "task_categories": (("task_categories",), "task_categories:"),
    "task_ids": (("task_ids",), "task_ids:"),
    "languages": (("language", "languages"), "language:"),
    "multilinguality": (("multilinguality",), "multilinguality:"),
    "size_categories": (("size_categories",), "size_categories:"),
    "modalities": (("modality", "modalities"), "modality:"),
    "source_datasets": (("source_datasets",), "source_datasets:"),
    "arxiv_ids": (("arxiv",), "arxiv:"),
}

METADATA_KEYS = ("pretty_name", *(name for names, _ in _KEYS.values() for name in names))
"""The names in front matter that hfmap reads, besides `tags`."""


def metadata(front_matter: Mapping[str, Any], card_data: Mapping[str, Any], tags: Sequence[str]) -> Metadata:
    """Merge metadata by key: of the card, of the listing's copy of it and of the Hub's tags, in that order.

    The keys are license, task_categories, task_ids, languages, multilinguality, size_categories, modalities,
    source_datasets and arxiv_ids; a key with nothing to say is left out.
    """
    merged: Metadata = {}
    own_tags = _texts(front_matter.get("tags"))
    for key, (names, prefix) in _KEYS.items():
        found: dict[str, None] = {}
        for where in (front_matter, card_data):
            for name in names:
                found.update(dict.fromkeys(_texts(where.get(name))))
        for tag in (*own_tags, *tags):
            if tag.startswith(prefix) and len(tag) > len(prefix):
                found[tag.removeprefix(prefix)] = None
        if found:
            merged[key] = tuple(found)[:MAX_VALUES]
    return merged


def pretty_name(front_matter: Mapping[str, Any], card_data: Mapping[str, Any]) -> str | None:
    """Return the name that the card gives its dataset, if any."""
    for where in (front_matter, card_data):
        named = _texts(where.get("pretty_name"))
        if named:
            return named[0]
    return None
