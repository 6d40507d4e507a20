"""The methodology page, made from the run itself, so that it cannot disagree with the map."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from typing import Any

from render import escape
from render.document import policy
from render.frame import Frame


@dataclass(slots=True)
class Facts:
    """What the run knows about itself. Every list is ordered, so that the page is reproducible."""

    specs: list[dict[str, Any]] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)
    topics: dict[str, Any] = field(default_factory=dict)
    layers: list[tuple[int, int]] = field(default_factory=list)
    quotes: list[dict[str, Any]] = field(default_factory=list)
    cards: list[tuple[str, int]] = field(default_factory=list)

    def digest(self) -> str:
        """SHA-256, in hex, of every value here."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def read(conn: sqlite3.Connection) -> Facts:
    """Read the facts from the store."""
    facts = Facts()
    facts.specs = [
        {"stage": stage, "provider": provider, "model": model, "parameters": json.loads(parameters)}
        for stage, provider, model, parameters in conn.execute(
            "SELECT s.stage, s.provider, s.model, s.parameters FROM current_spec c JOIN spec s USING (spec_id)"
            " ORDER BY s.stage"
        )
    ]
    row = conn.execute("SELECT parameters FROM layout ORDER BY layout_id DESC LIMIT 1").fetchone()
    facts.layout = json.loads(row[0]) if row else {}
    row = conn.execute("SELECT tree_id, parameters FROM topic_tree ORDER BY tree_id DESC LIMIT 1").fetchone()
    if row:
        facts.topics = json.loads(row[1])
        facts.layers = conn.execute(
            "SELECT layer, count(*) FROM topic WHERE tree_id = ? GROUP BY layer ORDER BY layer", (row[0],)
        ).fetchall()
    facts.quotes = [
        {"field": name, "answered": answered, "quoted": quoted, "verified": verified}
        for name, answered, quoted, verified in conn.execute(
            "SELECT q.field, count(*), sum(q.quote IS NOT NULL AND q.quote <> ''), sum(q.verified)"
            " FROM quotes q JOIN dataset d USING (repo_id) WHERE d.on_map = 1 GROUP BY q.field ORDER BY q.field"
        )
    ]
    facts.cards = conn.execute(
        "SELECT card_status, count(*) FROM dataset GROUP BY card_status ORDER BY card_status"
    ).fetchall()
    return facts


def render(facts: Facts, frame: Frame, *, title: str) -> str:
    """The methodology page as HTML."""
    from jinja2 import Environment

    template = (files("render") / "assets" / "methodology.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, finalize=escape.html, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        title=title, facts=facts, frame=frame, total=len(frame), policy=policy(chunks=False)
    )
