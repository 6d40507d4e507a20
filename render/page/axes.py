"""Axes of the map page: what its filters and colormaps are about, and which field of a card each comes from.

Those that come from the listing are always there. Those that are read from cards follow the taxonomy in force:
hfmap's own fields have their usual names and places on the page, and the fields of another taxonomy come after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from taxonomy.model import Field, Taxonomy, load

OWN = "own_"
"""How the key of a field begins that the page knows nothing of: no name of a field can hide one of the page's own."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Axis of filters and colormaps.

    `key` is its name on the page and in its addresses, `column` that of the view `datasets`.

    kind: "one", a word of the listing; "slug", one slug of the taxonomy; "slugs", a JSON list of them; "flag", 0 or 1.
    may_be_empty: an empty list is an answer.
    """

    key: str
    column: str
    heading: str
    kind: Literal["one", "slug", "slugs", "flag"] = "one"
    may_be_empty: bool = False


_TASK = Axis("task", "task_category", "Task")
_MODALITY = Axis("modality", "modality", "Modality")
_LICENCE = Axis("licence", "license_family", "Licence")
_SIZE = Axis("size", "size_category", "Size")
_LANGUAGE = Axis("language", "language", "Language")
_ROLE = Axis("role", "role", "Role")

# Key and heading of the fields that hfmap's own taxonomy has; the order is the filter panel's.
_KNOWN = {
    "subject_domain": ("subject", "Subject"),
    "provenance_method": ("provenance", "Provenance"),
    "training_stage": ("stage", "Stage"),
    "format_convention": ("format", "Format"),
    "is_benchmark": ("role", "Role"),
    "special_characteristics": ("traits", "Characteristics"),
}
# The order in which the drawer tells what a card says.
_TOLD = (
    "subject_domain", "provenance_method", "training_stage", "format_convention", "special_characteristics",
    "geo_scope", "upstream_models", "is_benchmark",
)  # fmt: skip


def axes(taxonomy: Taxonomy) -> tuple[Axis, ...]:
    """Return the axes of a page, in the order of its filters. Fields of free text have no axis: the drawer tells them."""
    by_name = {field.name: field for field in taxonomy}
    found = [_TASK, _MODALITY, _LICENCE, _SIZE, _LANGUAGE]
    for name in (*(name for name in _KNOWN if name in by_name), *(name for name in by_name if name not in _KNOWN)):
        field = by_name[name]
        if field.kind != "open":
            found.append(_axis(field))
    return tuple(found)


def _axis(field: Field) -> Axis:
    if field.name == "is_benchmark" and field.kind == "flag":
        return _ROLE
    key = _KNOWN[field.name][0] if field.name in _KNOWN and field.name != "is_benchmark" else OWN + field.name
    if field.kind == "flag":
        return Axis(key, field.name, heading(field), "flag")
    return Axis(key, field.name, heading(field), "slugs" if field.kind == "many" else "slug", field.may_be_empty)


def told(taxonomy: Taxonomy) -> list[Field]:
    """Return all fields in the order in which the drawer tells them."""
    fields = [field for name in _TOLD for field in taxonomy if field.name == name]
    return fields + [field for field in taxonomy if field.name not in _TOLD]


def heading(field: Field) -> str:
    """Heading of a field on the page: its label, or a shorter word for a field of hfmap's own."""
    known = _KNOWN.get(field.name)
    if known is None or field.name == "is_benchmark":
        return field.label
    return known[1] if field.label == _packaged_label(field.name) else field.label


def _packaged_label(name: str) -> str:
    return load().field(name).label
