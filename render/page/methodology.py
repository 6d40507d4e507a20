"""Render the methodology page from the run itself, so that it cannot disagree with the map."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

from markupsafe import Markup

from engine.queries.map import MapFacts
from render import escape
from render.page.document import policy
from render.page.frame import Frame
from render.vendor import FONT_FAMILY, Vendor
from taxonomy import prompt

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


def digest(facts: MapFacts) -> str:
    """Hash every value of the facts; SHA-256 in hex."""
    parts = {name: getattr(facts, name) for name in MapFacts.__slots__ if name != "taxonomy"}
    return hashlib.sha256(json.dumps([facts.taxonomy.digest, parts], sort_keys=True).encode()).hexdigest()


def render(facts: MapFacts, frame: Frame, *, title: str, libraries: Vendor | None) -> str:
    """Render the methodology page as HTML."""
    from jinja2 import Environment

    taxonomy = facts.taxonomy
    extraction = facts.specs.get("extract")
    # Where the fields on the map were read under another taxonomy, its definitions would explain nothing.
    known = extraction is None or extraction.parameters.get("taxonomy") in (None, taxonomy.digest)
    by_model = extraction is not None and extraction.provider != "local"
    ranked = facts.settings if facts.source == "hub" else {}
    script = _asset("methodology.js")
    template = Environment(autoescape=True, finalize=escape.html, trim_blocks=True, lstrip_blocks=True)
    template.filters["thousands"] = lambda value: f"{value:,}"
    template.filters["percent"] = lambda part, whole: f"{100 * part / whole:.0f} %" if whole else "–"
    return template.from_string(_asset("methodology.html")).render(
        title=title,
        facts=facts,
        source="" if facts.source is None else _SOURCES.get(facts.source, "a file of cards"),
        rank=str(ranked.get("rank", "")),
        target=ranked.get("target"),
        frame=frame,
        total=len(frame),
        status=_STATUS,
        fields=list(taxonomy) if known else [],
        prompts=[("Fields", prompt.extraction_system(taxonomy)), ("Summaries", prompt.summary_system())]
        if known and by_model
        else [],
        cost=sum(row.usd for row in facts.spending),
        versions=versions(),
        carried=sorted(libraries.versions.items()) if libraries else [],
        css=Markup(_faces(libraries) + _asset("methodology.css")),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        policy=policy([f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"], chunks=False),
    )


def versions() -> list[tuple[str, str]]:
    """Return the packages that make the map with their versions, without those that are not installed as packages."""
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
