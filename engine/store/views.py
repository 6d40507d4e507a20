"""Make the view `datasets`, whose columns follow the taxonomy in force and the topic layers.

The schema file holds the view for the packaged taxonomy, word for word as it is made here. Here, too: which taxonomy is
in force (table `taxonomy`), and which spelling of a model's name is shown (table `model_name`).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from engine.errors import StoreError, UsageError
from engine.store.clock import utc_now
from engine.store.connection import transaction
from taxonomy.model import ABSTENTIONS, Field, Taxonomy, TaxonomyError, dumps, line_of_field, load, loads
from taxonomy.model_names import usual_spellings

FEWEST_LAYERS = 6
"""Topic columns that are always there, so that a query written for one map runs on another (DESIGN.md)."""

MOST_LAYERS = 30

_FIRST = (
    "repo_id", "author", "name", "pretty_name", "url", "rank", "on_map", "likes", "downloads", "created_at",
    "last_modified", "sha", "gated", "license", "license_family", "size_category", "language", "task_category",
    "modality", "tags",
)  # fmt: skip
_CARD = ("card_chars", "card_status", "summary")
# Fields whose place among the columns is promised, and what is made of two of them.
_PROMISED = (
    "subject_domain", "provenance_method", "training_stage", "primary_stage", "format_convention",
    "special_characteristics", "geo_scope", "upstream_models", "is_benchmark", "role",
)  # fmt: skip
_DERIVED = ("primary_stage", "role")
_STAGES = ("preference", "sft", "eval", "domain-finetune", "pretraining", "raw-corpus")
_SAY_LITTLE = ("other", "not_applicable", "not_stated")
MODELS = "upstream_models"
"""The field whose names are shown in one spelling; see table `model_name`."""

_TAKEN = frozenset({*_FIRST, *_CARD, *_DERIVED, "dataset_id", "x", "y"})
_TOPIC = re.compile(r"topic_\d+")


def load_taxonomy(path: Path | None) -> Taxonomy:
    """Read the taxonomy of a setting; None is the one that comes with hfmap.

    Raises:
        UsageError: the file cannot be used; the sentence names the line and the field.
    """
    try:
        return load(path)
    except TaxonomyError as error:
        raise UsageError(f"The taxonomy cannot be used: {error}.") from error


def usable_taxonomy(path: Path | None) -> Taxonomy:
    """Read the taxonomy of a setting (None: the one that comes with hfmap) whose fields can be columns of the view.

    Raises:
        UsageError: it cannot be used; the sentence names the file, the line and the field.
    """
    taxonomy = load_taxonomy(path)
    check_columns(taxonomy, path)
    return taxonomy


def check_columns(fields: Iterable[Field], path: Path | None = None) -> None:
    """Refuse a taxonomy, read from `path`, whose fields cannot stand beside the other columns of the view.

    Raises:
        UsageError: a field has the name of a column that is there anyway.
    """
    for index, field in enumerate(fields):
        if field.name in _TAKEN or _TOPIC.fullmatch(field.name):
            place = f"{path}:{line_of_field(path, index)}: " if path is not None else ""
            raise UsageError(
                f'{place}the taxonomy has a field "{field.name}", but the view `datasets` has a column of that name.',
                hint=f'Give the field another name, such as "{field.name}_field".',
            )


def ensure_views(conn: sqlite3.Connection, taxonomy: Taxonomy) -> bool:
    """Put a taxonomy in force and make the view `datasets` fit it and the newest topics, in one transaction.

    `conn` must be in autocommit mode. Nothing is written where nothing differs.

    Returns:
        Whether another taxonomy was in force before.

    Raises:
        UsageError: as `check_columns`.
    """
    check_columns(taxonomy)
    with transaction(conn):
        changed = put_taxonomy_in_force(conn, taxonomy)
        row = conn.execute("SELECT layers FROM topic_tree ORDER BY tree_id DESC LIMIT 1").fetchone()
        wanted = datasets_view(taxonomy.fields, row[0] if row else 0)
        stored = conn.execute("SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = 'datasets'").fetchone()
        if stored is None or _words(stored[0]) != _words(wanted):
            conn.execute("DROP VIEW IF EXISTS datasets")
            conn.execute(wanted)
    return changed


def datasets_view(fields: Iterable[Field], layers: int = 0) -> str:
    """Return the CREATE VIEW statement of `datasets` for these fields and a topic tree of so many layers."""
    by_name = {field.name: field for field in fields}
    columns = [f"d.{name}" for name in _FIRST]
    columns += [
        "c.body_chars AS card_chars",
        "d.card_status",
        f"{_corrected('summary', 's.text')} AS summary",
    ]
    names = [name for name in _PROMISED if name in by_name or name in _DERIVED]
    for name in (*names, *(name for name in by_name if name not in _PROMISED)):
        columns.append(f'{_column(name, by_name)} AS "{name}"')
    columns += [_TOPIC_COLUMN.format(layer) for layer in range(min(max(layers, FEWEST_LAYERS), MOST_LAYERS))]
    columns += ["p.x", "p.y"]
    return "CREATE VIEW datasets AS\nSELECT\n    " + ",\n    ".join(columns) + _FROM


def _column(name: str, fields: dict[str, Field]) -> str:
    if name == "primary_stage":
        return _primary_stage(fields["training_stage"]) if "training_stage" in fields else "NULL"
    if name == "role":
        if "is_benchmark" not in fields:
            return "NULL"
        return (
            f"CASE {_value('is_benchmark')}\n"
            "        WHEN 1 THEN 'Benchmark' WHEN 0 THEN 'Training data' ELSE 'Unknown' END"
        )
    if name == MODELS and fields[name].kind == "open":
        return f"coalesce(\n        {_models(_CORRECTION)},\n        {_models(_CARD_SAYS)})"
    return _value(name)


# The correction of a field that wins, and what was read from the card.
_CORRECTION = "FROM correction w\n         WHERE w.dataset_id = d.dataset_id AND w.field = '{}'"
_CARD_SAYS = "FROM field_value w\n         WHERE w.result_id = e.result_id AND w.field = '{}'"


def _corrected(name: str, read: str, form: str = "w.value ->> '$'") -> str:
    return f"coalesce(\n        (SELECT {form} {_CORRECTION.format(name)}),\n        {read})"


def _value(name: str, form: str = "w.value ->> '$'") -> str:
    return _corrected(name, f"(SELECT {form} {_CARD_SAYS.format(name)})", form)


def _models(origin: str) -> str:
    """A list of model names, each in its usual spelling and once."""
    return (
        "(SELECT (SELECT json_group_array(name) FROM (SELECT coalesce(m.canonical, j.value) AS name\n"
        "            FROM json_each(w.value) j LEFT JOIN model_name m ON m.raw = j.value\n"
        f"            GROUP BY 1 ORDER BY min(j.key)))\n         {origin.format(MODELS)} AND w.value IS NOT NULL)"
    )


def _primary_stage(field: Field) -> str:
    """The stage that says most: DESIGN.md's order, then a taxonomy's own, then those that say little."""
    own = [slug for slug in field.names if slug not in _STAGES and slug not in _SAY_LITTLE]
    order = " ".join((*_STAGES, *own, *_SAY_LITTLE))
    return (
        "(SELECT coalesce((SELECT j.value FROM json_each(w.value) j ORDER BY nullif(instr(\n"
        f"            ' {order} ',\n"
        "            ' ' || j.value || ' '), 0) NULLS LAST LIMIT 1), 'not_stated')\n"
        f"        FROM (SELECT {_value('training_stage', 'w.value')} AS value) w\n"
        "        WHERE w.value IS NOT NULL)"
    )


_TOPIC_COLUMN = (
    "(SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id\n"
    "     WHERE m.tree_id = (SELECT max(tree_id) FROM topic_tree) AND m.dataset_id = d.dataset_id\n"
    "       AND m.layer = {0}) AS topic_{0}"
)


def _result(stage: str) -> str:
    """The result that speaks for card c at a stage: see view `in_force`."""
    return (
        "coalesce(\n"
        "    (SELECT r.result_id FROM current_spec cs\n"
        "     JOIN result r ON r.spec_id = cs.spec_id AND r.input_hash = c.input_hash\n"
        f"     WHERE cs.stage = '{stage}'),\n"
        "    (SELECT max(r.result_id) FROM result r JOIN spec sp ON sp.spec_id = r.spec_id\n"
        f"     WHERE r.input_hash = c.input_hash AND sp.stage = '{stage}'))"
    )


_FROM = f"""
FROM dataset d
LEFT JOIN card c ON c.dataset_id = d.dataset_id
LEFT JOIN result e ON e.result_id = {_result("extract")}
LEFT JOIN summary s ON s.result_id = {_result("summarize")}
LEFT JOIN position p ON p.layout_id = (SELECT max(layout_id) FROM layout) AND p.dataset_id = d.dataset_id"""


def _words(sql: str) -> str:
    return " ".join(sql.split())


def taxonomy_in_force(conn: sqlite3.Connection) -> Taxonomy:
    """Return the taxonomy that the newest sync used; before the first one, the one that comes with hfmap.

    Raises:
        StoreError: what is stored cannot be read.
    """
    row = conn.execute("SELECT content FROM taxonomy WHERE in_force = 1").fetchone()
    if row is None:
        return load()
    try:
        return loads(row[0])
    except TaxonomyError as error:
        raise StoreError(
            f"The taxonomy in the database cannot be used: {error}.",
            hint="Put one in force: hfmap sync --taxonomy FILE",
        ) from error


def put_taxonomy_in_force(conn: sqlite3.Connection, taxonomy: Taxonomy) -> bool:
    """Keep a taxonomy and put it in force, inside a transaction of the caller's; False where it was already."""
    before = conn.execute("SELECT digest FROM taxonomy WHERE in_force = 1").fetchone()
    if before is not None and before[0] == taxonomy.digest:
        return False
    conn.execute("UPDATE taxonomy SET in_force = 0 WHERE in_force = 1")
    conn.execute(
        "INSERT INTO taxonomy (digest, name, content, in_force, first_used_at) VALUES (?, ?, ?, 1, ?) "
        "ON CONFLICT (digest) DO UPDATE SET in_force = 1",
        (taxonomy.digest, taxonomy.name, dumps(taxonomy), utc_now()),
    )
    return before is not None


_NAMES = """
SELECT j.value, count(*) FROM dataset d
JOIN in_force i ON i.dataset_id = d.dataset_id AND i.stage = 'extract'
JOIN field_value v ON v.result_id = i.result_id AND v.field = ?
JOIN json_each(v.value) j
WHERE j.type = 'text' GROUP BY 1
"""
_PEOPLE = """
SELECT j.value, count(*) FROM correction o JOIN json_each(o.value) j
WHERE o.field = ? AND j.type = 'text' GROUP BY 1
"""


def update_model_names(conn: sqlite3.Connection) -> int:
    """Choose the spelling of every model's name anew, over all cards; a spelling that a person used wins.

    What was read from the cards stays as it is in `field_value`. `conn` must be in autocommit mode; nothing is
    written where nothing differs.

    Returns:
        How many names are shown in another spelling than their own.
    """
    with transaction(conn):
        counts = {name: n for name, n in conn.execute(_NAMES, (MODELS,)) if name not in ABSTENTIONS}
        people = {name: n for name, n in conn.execute(_PEOPLE, (MODELS,)) if name not in ABSTENTIONS}
        usual = usual_spellings(counts, preferred=people)
        if usual != dict(conn.execute("SELECT raw, canonical FROM model_name")):
            conn.execute("DELETE FROM model_name")
            conn.executemany("INSERT INTO model_name (raw, canonical) VALUES (?, ?)", sorted(usual.items()))
    return len(usual)
