"""The methodology page, made from the run itself, so that it cannot disagree with the map."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from engine.store.views import taxonomy_in_force
from render import escape
from render.page.document import policy
from render.page.frame import Frame
from render.vendor import FONT_FAMILY, Vendor
from taxonomy import prompt
from taxonomy.model import Taxonomy, load

_LIBRARIES = ("hfmap", "datamapplot", "toponymy", "umap-learn", "numpy", "scikit-learn")
_SOURCES = {"hub": "the Hugging Face Hub", "sample": "the sample cards that come with hfmap"}
_STATUS = {
    "ok": "read",
    "short": "too short for the map",
    "missing": "no card",
    "gated": "card behind a gate",
    "private": "private",
    "disabled": "disabled by the Hub",
    "failed": "could not be read",
    "pending": "not read yet",
}


@dataclass(slots=True)
class Facts:
    """What the run knows about itself. Every list is ordered, so that the page is reproducible.

    specs: stage → provider, model and parameters in force. made: stage → how many datasets on the map have a
    result, and by which models. quotes: per field, how many answers, quotes and verified quotes there are.
    """

    taxonomy: Taxonomy = field(default_factory=load)
    source: str = ""
    rank: str = ""
    target: int | None = None
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict)
    layout: dict[str, Any] = field(default_factory=dict)
    made_by: str = ""
    placed: int = 0
    topics: dict[str, Any] = field(default_factory=dict)
    layers: list[tuple[int, int]] = field(default_factory=list)
    named_by: list[tuple[str, int]] = field(default_factory=list)
    quotes: list[tuple[str, int, int, int]] = field(default_factory=list)
    cards: list[tuple[str, int]] = field(default_factory=list)
    spending: list[tuple[str, str, int, int, int, float]] = field(default_factory=list)

    def digest(self) -> str:
        """SHA-256, in hex, of every value here."""
        parts: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        parts["taxonomy"] = self.taxonomy.digest
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read(conn: sqlite3.Connection) -> Facts:
    """Read the facts from the store."""
    facts = Facts(taxonomy=taxonomy_in_force(conn))
    row = conn.execute(
        "SELECT source, settings FROM run WHERE command = 'sync' ORDER BY run_id DESC LIMIT 1"
    ).fetchone()
    if row:
        settings = json.loads(row[1])
        facts.source = _SOURCES.get(row[0], "a file of cards")
        facts.rank = str(settings.get("rank", "")) if row[0] == "hub" else ""
        facts.target = settings.get("target") if row[0] == "hub" else None
    for stage, provider, model, parameters in conn.execute(
        "SELECT s.stage, s.provider, s.model, s.parameters FROM current_spec c JOIN spec s USING (spec_id) ORDER BY 1"
    ):
        facts.specs[stage] = {"provider": provider, "model": model, "parameters": json.loads(parameters)}
    for stage, provider, model, count in conn.execute(
        "SELECT i.stage, i.provider, i.model, count(*) FROM in_force i JOIN dataset d USING (dataset_id)"
        " WHERE d.on_map = 1 GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3"
    ):
        facts.made.setdefault(stage, []).append((provider, model, count))
    _read_map(conn, facts)
    facts.quotes = conn.execute(
        "SELECT q.field, count(*), sum(coalesce(q.quote, '') NOT IN ('', 'not_stated')), sum(q.verified)"
        " FROM quotes q JOIN dataset d USING (repo_id) WHERE d.on_map = 1 GROUP BY q.field ORDER BY q.field"
    ).fetchall()
    facts.cards = conn.execute(
        "SELECT card_status, count(*) FROM dataset GROUP BY card_status ORDER BY 2 DESC, 1"
    ).fetchall()
    facts.spending = conn.execute(
        "SELECT stage, model, sum(calls), sum(input_tokens + cache_write_tokens + cache_read_tokens),"
        " sum(output_tokens), round(sum(usd), 4) FROM spending GROUP BY stage, model ORDER BY stage, model"
    ).fetchall()
    return facts


def _read_map(conn: sqlite3.Connection, facts: Facts) -> None:
    row = conn.execute("SELECT layout_id, parameters, made_by FROM layout ORDER BY layout_id DESC LIMIT 1").fetchone()
    if row:
        facts.layout, facts.made_by = json.loads(row[1]), row[2]
        facts.placed = conn.execute("SELECT sum(placed) FROM position WHERE layout_id = ?", (row[0],)).fetchone()[0]
    row = conn.execute("SELECT tree_id, parameters FROM topic_tree ORDER BY tree_id DESC LIMIT 1").fetchone()
    if row:
        facts.topics = json.loads(row[1])
        facts.layers = conn.execute(
            "SELECT layer, count(*) FROM topic WHERE tree_id = ? GROUP BY layer ORDER BY layer", (row[0],)
        ).fetchall()
        facts.named_by = conn.execute(
            "SELECT named_by, count(*) FROM topic WHERE tree_id = ? GROUP BY named_by ORDER BY 2 DESC, 1", (row[0],)
        ).fetchall()


def render(facts: Facts, frame: Frame, *, title: str, libraries: Vendor | None) -> str:
    """The methodology page as HTML."""
    from jinja2 import Environment

    taxonomy = facts.taxonomy
    extraction = facts.specs.get("extract", {})
    # Where the fields on the map were read under another taxonomy, its definitions would explain nothing.
    known = extraction.get("parameters", {}).get("taxonomy") in (None, taxonomy.digest)
    by_model = extraction.get("provider") not in (None, "local")
    script = _asset("methodology.js")
    template = Environment(autoescape=True, finalize=escape.html, trim_blocks=True, lstrip_blocks=True)
    template.filters["thousands"] = lambda value: f"{value:,}"
    template.filters["percent"] = lambda part, whole: f"{100 * part / whole:.0f} %" if whole else "–"
    return template.from_string(_asset("methodology.html")).render(
        title=title,
        facts=facts,
        frame=frame,
        total=len(frame),
        status=_STATUS,
        fields=list(taxonomy) if known else [],
        prompts=[("Fields", prompt.extraction_system(taxonomy)), ("Summaries", prompt.summary_system())]
        if known and by_model
        else [],
        cost=sum(row[5] for row in facts.spending),
        versions=versions(),
        carried=sorted(libraries.versions.items()) if libraries else [],
        css=Markup(_faces(libraries) + _asset("methodology.css")),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        policy=policy([f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"], chunks=False),
    )


def versions() -> list[tuple[str, str]]:
    """The packages that make the map, with their versions; without those that are not installed as packages."""
    found = []
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found.append((name, version(name)))
    return found


def _faces(libraries: Vendor | None) -> str:
    """The typeface of the map, as far as this page uses it."""
    if libraries is None:
        return ""
    faces = json.loads(libraries.fonts.read_text(encoding="ascii"))[FONT_FAMILY]
    return "".join(
        f"@font-face{{font-family:'{FONT_FAMILY}';font-weight:{face['weight']};font-style:normal;"
        f"src:url(data:font/woff2;base64,{face['content']}) format('woff2');unicode-range:{face['unicode_range']}}}\n"
        for face in faces
        if face["weight"] in (400, 600) and face["unicode_range"].startswith("U+0000")
    )


def _asset(name: str) -> str:
    return (files("render.page") / "assets" / name).read_text(encoding="utf-8")
