"""Taxonomy as typed data: fields, slugs and values, read from a JSON file that people write by hand."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

from taxonomy import positions

FieldKind = Literal["one", "many", "open", "flag"]
Value = str | bool | tuple[str, ...] | None

PACKAGED = Path(__file__).with_name("taxonomy.json")

#: Slugs that say that there is nothing to say. They need no quote, and stand alone in a list.
ABSTENTIONS = frozenset({"not_stated", "not_applicable"})

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9_+.-]{0,62}")
_FIELD_KEYS = {"name", "label", "kind", "description", "rules", "slugs", "default"}
_MAX_FIELDS = 40
_MAX_SLUGS = 200


class TaxonomyError(ValueError):
    """A taxonomy file that cannot be used: the text names the file, the line, the field and what to do."""


@dataclass(frozen=True, slots=True)
class Slug:
    """Allowed value of a field, and a description that tells it from its neighbours."""

    slug: str
    description: str


@dataclass(frozen=True, slots=True)
class Field:
    """Field of the taxonomy: one axis on which every dataset has a value.

    `kind`: "one" holds one slug; "many" a list of slugs; "open" a list of free strings, or one of the slugs alone;
    "flag" true or false. `default` is what a silent card gets (None: nothing is stored); an empty tuple also says
    that the list may be empty.
    """

    name: str
    label: str
    kind: FieldKind
    description: str
    rules: tuple[str, ...]
    slugs: tuple[Slug, ...]
    default: Value

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the slugs, in the file's order."""
        return tuple(slug.slug for slug in self.slugs)

    @property
    def alone(self) -> frozenset[str]:
        """Slugs that cannot stand beside another value of the same list."""
        return frozenset(self.names) if self.kind == "open" else ABSTENTIONS.intersection(self.names)

    @property
    def may_be_empty(self) -> bool:
        """Whether an empty list is a value of this field."""
        return self.default == ()

    def allows(self, value: Value) -> bool:
        """Check whether `value` may be stored in this field."""
        if self.kind == "flag":
            return isinstance(value, bool)
        if self.kind == "one":
            return isinstance(value, str) and value in self.names
        if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
            return False
        if len(set(value)) != len(value):
            return False
        if not value:
            return self.may_be_empty
        if len(value) > 1 and self.alone.intersection(value):
            return False
        if self.kind == "many":
            return set(value) <= set(self.names)
        return all(item.strip() == item and item != "" for item in value)


@dataclass(frozen=True)
class Taxonomy:
    """Taxonomy: all fields, in the order in which they are asked for and shown."""

    name: str
    fields: tuple[Field, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of everything a prompt or a check can depend on."""
        content = [
            self.name,
            [
                [f.name, f.label, f.kind, f.description, f.rules, [[s.slug, s.description] for s in f.slugs], f.default]
                for f in self.fields
            ],
        ]
        text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def field(self, name: str) -> Field:
        """Find the field of that name.

        Raises:
            KeyError: there is none.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)


@dataclass(frozen=True, slots=True)
class FieldValue:
    """Value of a field and its proof.

    `quote` is at most 25 words; where `verified`, it is `card[quote_start:quote_end]` of the card text that was
    sent. `confidence` is between 0 and 1, where the source of the value can tell. `problem` says why `value` is
    None, or what was repaired to get it.
    """

    value: Value
    quote: str | None = None
    verified: bool = False
    quote_start: int | None = None
    quote_end: int | None = None
    confidence: float | None = None
    problem: str | None = None


#: Every field of the taxonomy is present; one without a valid value has `value` None.
Extraction = Mapping[str, FieldValue]


def json_value(value: FieldValue) -> str | None:
    """Write a value as JSON text; None where there is none."""
    if value.value is None:
        return None
    return json.dumps(value.value, ensure_ascii=False)


def load(path: Path | None = None) -> Taxonomy:
    """Load a taxonomy from a file; without a path, the one that comes with hfmap.

    Raises:
        TaxonomyError: the file cannot be read or says something that cannot be followed.
    """
    return _packaged() if path is None else _read(path)


@lru_cache(maxsize=1)
def _packaged() -> Taxonomy:
    return _read(PACKAGED)


def _read(path: Path) -> Taxonomy:
    try:
        source = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TaxonomyError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path}: is not UTF-8 text ({error}); save it as UTF-8") from error
    return loads(source, path)


def loads(source: str, path: Path = PACKAGED) -> Taxonomy:
    """Load a taxonomy from the text of a file; `path` is what errors call it.

    Raises:
        TaxonomyError: the text says something that cannot be followed.
    """
    try:
        content, lines = positions.parse(source)
    except positions.PositionError as error:
        raise TaxonomyError(f"{path}:{error.line}: not valid JSON: {error}; correct that line") from None
    return _TaxonomyReader(path, lines).taxonomy(content)


def line_of_field(path: Path, index: int) -> int:
    """Find the line, from 1, on which a file that `load` has read names its field number `index` (from 0)."""
    return positions.parse(path.read_text(encoding="utf-8-sig"))[1]["fields", index, "name"]


def dumps(taxonomy: Taxonomy) -> str:
    """Write a taxonomy as the text of a file that `loads` reads back as an equal one."""
    fields = [
        {
            "name": field.name,
            "label": field.label,
            "kind": field.kind,
            "description": field.description,
            "rules": field.rules,
            "slugs": {slug.slug: slug.description for slug in field.slugs},
            **({} if field.default is None else {"default": field.default}),
        }
        for field in taxonomy
    ]
    return json.dumps({"name": taxonomy.name, "fields": fields}, ensure_ascii=False)


class _TaxonomyReader:
    """Turns parsed JSON into a taxonomy, or into a sentence about what is wrong with it."""

    def __init__(self, path: Path, lines: dict[positions.JsonPath, int]) -> None:
        self.path = path
        self.lines = lines
        self.subject = "taxonomy"

    def fail(self, at: positions.JsonPath, message: str) -> NoReturn:
        while at not in self.lines:
            at = at[:-1]
        raise TaxonomyError(f"{self.path}:{self.lines[at]}: {self.subject}: {message}")

    def taxonomy(self, content: Any) -> Taxonomy:
        if not isinstance(content, dict) or not isinstance(content.get("fields"), list) or not content["fields"]:
            self.fail((), 'a taxonomy is an object with "name" and a list "fields" with at least one field')
        if unknown := set(content) - {"name", "fields"}:
            self.fail((min(unknown),), f'unknown key "{min(unknown)}"; remove it (known: name, fields)')
        if len(content["fields"]) > _MAX_FIELDS:
            self.fail(("fields",), f"more than {_MAX_FIELDS} fields; leave some out")
        name = self.text(content, "name", ())
        fields: list[Field] = []
        for index, entry in enumerate(content["fields"]):
            at = ("fields", index)
            self.subject = f"field {index + 1}"
            field = self.field(entry, at)
            if field.name in {other.name for other in fields}:
                self.fail((*at, "name"), "this name is taken by an earlier field; choose another")
            fields.append(field)
        return Taxonomy(name, tuple(fields))

    def field(self, entry: Any, at: positions.JsonPath) -> Field:
        if not isinstance(entry, dict):
            self.fail(at, "a field is an object with name, label, kind, description, rules, slugs, default")
        name = self.text(entry, "name", at)
        if not _NAME.fullmatch(name):
            self.fail((*at, "name"), f'the name "{name[:80]}" must be lower-case letters, digits and underscores')
        self.subject = f'field "{name}"'
        if unknown := set(entry) - _FIELD_KEYS:
            self.fail((*at, min(unknown)), f'unknown key "{min(unknown)}"; remove it or correct its spelling')
        if entry.get("kind") not in get_args(FieldKind):
            self.fail((*at, "kind"), f'"kind" must be one of {", ".join(get_args(FieldKind))}')
        kind: FieldKind = entry["kind"]
        rules = entry.get("rules", [])
        if not isinstance(rules, list) or not all(isinstance(rule, str) and rule.strip() for rule in rules):
            self.fail((*at, "rules"), '"rules" must be a list of sentences')
        label = self.text(entry, "label", at) if "label" in entry else name.replace("_", " ").capitalize()
        slugs = self.slugs(entry, kind, at)
        field = Field(name, label, kind, self.text(entry, "description", at), tuple(rules), slugs, None)
        default = entry.get("default")
        value: Value = tuple(default) if isinstance(default, list) else default
        # An empty default is what makes an empty list allowed.
        empty_list = value == () and kind in {"many", "open"}
        if value is not None and not empty_list and not field.allows(value):
            self.fail((*at, "default"), self.default_advice(field))
        return Field(name, label, kind, field.description, field.rules, slugs, value)

    def slugs(self, entry: dict[str, Any], kind: str, at: positions.JsonPath) -> tuple[Slug, ...]:
        slugs = entry.get("slugs", {})
        at = (*at, "slugs")
        if not isinstance(slugs, dict):
            self.fail(at, '"slugs" must be an object from each slug to its description')
        if kind == "flag" and slugs:
            self.fail(at, 'a field of kind "flag" is true or false; remove "slugs"')
        if kind in {"one", "many"} and not slugs:
            self.fail(at, f'a field of kind "{kind}" needs "slugs"; add them, or make it "open" or "flag"')
        if len(slugs) > _MAX_SLUGS:
            self.fail(at, f"more than {_MAX_SLUGS} slugs; join some")
        folded: dict[str, str] = {}
        for slug, description in slugs.items():
            if not _SLUG.fullmatch(slug):
                self.fail((*at, slug), f'the slug "{slug[:80]}" must be lower-case letters, digits and hyphens')
            if not isinstance(description, str) or not description.strip():
                self.fail((*at, slug), f'the slug "{slug}" needs a description that says when it is meant')
            key = re.sub(r"[^a-z0-9]", "", slug)
            if key in folded:
                self.fail((*at, slug), f'"{slug}" and "{folded[key]}" differ only in punctuation; rename one')
            folded[key] = slug
        return tuple(Slug(slug, description.strip()) for slug, description in slugs.items())

    def text(self, entry: dict[str, Any], key: str, at: positions.JsonPath) -> str:
        value = entry.get(key)
        if not isinstance(value, str) or not value.strip():
            self.fail((*at, key), f'"{key}" must be a text that is not empty')
        return value.strip()

    @staticmethod
    def default_advice(field: Field) -> str:
        wanted = {
            "one": "one of its slugs",
            "many": "a list of its slugs (an empty list where none is usual)",
            "open": "a list of strings",
            "flag": "true or false",
        }[field.kind]
        return f'"default" must be {wanted}, or left out'
