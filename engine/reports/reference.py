"""Read a labelled file: what somebody else says of each dataset, in slugs or in display names."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.reports.scores import CardLabels
from engine.sources.base import Unreadable
from engine.sources.rows import FileRow, json_lines
from taxonomy.answers.values import squash
from taxonomy.model import Field, Taxonomy

ROLE, FLAG = "role", "is_benchmark"
"""The page calls the flag a role."""

_ROLES = {"benchmark": True, "trainingdata": False, "true": True, "false": False, "yes": True, "no": False}
_SILENT = frozenset({"", "unknown", "none", "null"})


@dataclass(slots=True)
class Reference:
    """What the file says, by dataset id.

    `unknown` counts labels that are no slugs of the taxonomy, by (field, label): they are not scored. `unused` are
    the keys that are neither fields nor the summary.
    """

    fields: dict[str, dict[str, CardLabels]] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)
    unused: set[str] = field(default_factory=set)

    @property
    def ids(self) -> set[str]:
        """Every dataset that has a label or a summary."""
        return self.fields.keys() | self.summaries.keys()


def read_reference(path: Path, taxonomy: Taxonomy) -> Reference:
    """Read a .jsonl or .jsonl.gz whose objects have an `id` and a `reference`; others are passed over.

    Of two lines about one dataset the later counts.

    Raises:
        UsageError: the file cannot be read, a line is not a JSON object, or none has a reference.
    """
    found = Reference()
    known = {each.name: each for each in taxonomy}
    for entry in _entries(path):
        labels, name = entry.get("reference"), entry.get("id")
        if not isinstance(labels, dict) or not isinstance(name, str):
            continue
        found.fields[name] = {}
        found.summaries.pop(name, None)
        for key, raw in labels.items():
            into = FLAG if key == ROLE and ROLE not in known else key
            if key == "summary":
                if isinstance(raw, str) and raw.strip():
                    found.summaries[name] = raw.strip()
            elif into not in known:
                found.unused.add(str(key))
            elif (value := labels_of(known[into], raw, found.unknown)) is not None:
                found.fields[name][into] = value
    if not found.ids:
        raise UsageError(
            f"{path} holds no labels.",
            hint='It must be lines like {"id": "org/name", "reference": {"subject_domain": "…", "summary": "…"}}.',
        )
    return found


def labels_of(field: Field, raw: Any, unknown: Counter[tuple[str, str]]) -> CardLabels | None:
    """Read slugs, display names, or a comma-joined list of either; None, and counted, where one is not known."""
    if field.kind == "flag":
        flag = raw if isinstance(raw, bool) else _ROLES.get(squash(str(raw)))
        if flag is None:
            if squash(str(raw)) not in _SILENT:
                unknown[field.name, str(raw)[:80]] += 1
            return None
        return (str(flag).lower(),)
    if raw is None or not isinstance(raw, str | list):
        return None
    parts = raw if isinstance(raw, list) else [raw] if field.kind == "one" else re.split(r",", raw)
    slugs = {squash(slug): slug for slug in field.names}
    labels: dict[str, None] = {}
    for part in parts:
        text = str(part).strip()
        slug = slugs.get(squash(text))
        if slug is None and field.kind == "open" and text:
            slug = text
        if slug is None:
            if squash(text) not in _SILENT:
                unknown[field.name, text[:80]] += 1
                return None
            continue
        labels[slug] = None
    return tuple(labels) if labels or raw == [] else None


def _entries(path: Path) -> Iterator[FileRow]:
    try:
        for found in json_lines(path):
            if isinstance(found, Unreadable):
                raise UsageError(
                    f"{path}, {found.place}: {found.reason.removeprefix('it is ')}.",
                    hint="Each line is one JSON object, in UTF-8. A compressed file must end in .gz.",
                )
            yield found[1]
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read: {_short(error)}.", hint="Check the path.") from error


def _short(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().rstrip(".")[:200]
