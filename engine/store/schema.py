"""The schema file, wherever this installation keeps it."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from pathlib import Path

SCHEMA_FILE = "hfmap.sqlite.schema.sql"


@cache
def schema_sql() -> str:
    """Return the text of the schema: the copy in the wheel or, in a checkout, the file at its root."""
    packaged = resources.files("engine.store").joinpath(SCHEMA_FILE)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / SCHEMA_FILE).read_text(encoding="utf-8")


def _pragma(name: str) -> int:
    found = re.search(rf"^PRAGMA {name} = (\d+);", schema_sql(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{SCHEMA_FILE} does not set {name}")
    return int(found[1])


def application_id() -> int:
    """Return the number that marks a SQLite file as hfmap's."""
    return _pragma("application_id")


def schema_version() -> int:
    """Return the version of the schema that this hfmap writes."""
    return _pragma("user_version")
