"""Draw the page: `index.html` and the files beside it, from the database alone, where something has changed.

A page is drawn again only if something on it has changed, or its files have: the hash of all it is made from
and of the files themselves is kept with the run. Files are replaced one by one and at once, the page last.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from engine.errors import PassError
from engine.events import Event, Notice, PassFinished, PassStarted
from engine.queries.map import map_facts
from engine.store.runs import artifact_hash, put_artifact
from render import escape, vendor
from render.page import document, drawer, frame, methodology, plot

TITLE = "Hugging Face Dataset Map"
HUB = "https://huggingface.co/datasets/"
DATA = "data"
"""The folder beside the page that holds what the drawer loads when it is opened."""

PREVIEW = "preview.png"
"""The picture beside the page that sites show for a link to it; `hfmap map --png` draws it."""

MODULES = (
    "core.js", "fields.js", "link.js", "theme.js", "palette.js", "map.js", "labels.js", "store.js", "search.js",
    "panels.js", "sheets.js", "colors.js", "filters.js", "ranges.js", "topics.js", "results.js", "exporter.js", "lasso.js", "hover.js",
    "drawer.js", "main.js",
)  # fmt: skip
"""The page's scripts in the order they are joined: one file a widget."""
STYLES = ("page.css", "panels.css", "cards.css", "small.css")


@dataclass(frozen=True, slots=True)
class PageResult:
    """Path of the page, and whether it was there already."""

    path: Path
    skipped: bool


def ensure(
    conn: sqlite3.Connection,
    *,
    run_id: int,
    out: Path,
    emit: Callable[[Event], None],
    title: str = TITLE,
    subtitle: str | None = None,
    png: Path | None = None,
) -> PageResult:
    """Draw the page into the folder `out`, unless it holds the page of the database as it is now.

    `out` is a folder that can be served as it is. The subtitle states the number of datasets unless given.
    `png` is where a picture of the map goes, its dark variant beside it; the page then also gets a small one, for
    previews of links to it. Without `png` a page keeps the one it has.

    Raises:
        PassError: there is nothing to draw, or the folder cannot be written.
    """
    emit(PassStarted("page"))
    started = time.monotonic()
    data = frame.read(conn)
    if not len(data):
        raise PassError(
            "There is no dataset with a position on the map, so there is nothing to draw.",
            hint="Run `hfmap sync` first; `hfmap status` shows what is missing.",
        )
    if png is not None:
        from render.page import picture

        picture.write(data, png, title=title, preview=out / PREVIEW)
    if subtitle is None:
        subtitle = f"Top {len(data):,} datasets positioned by what their cards say"
        if len(data) == 1:
            subtitle = "One dataset"
    libraries = vendor.load(vendor.FOLDER)
    if libraries is None:
        emit(
            Notice(
                "The browser libraries were not fetched when hfmap was installed, so this page loads them from a"
                " CDN and needs a network. Install hfmap again to have pages that need none.",
                "warning",
            )
        )
    facts, details = map_facts(conn), drawer.read(conn, data)
    preview = PREVIEW if (out / PREVIEW).is_file() else None
    inputs = _digest(
        data.digest(),
        methodology.digest(facts),
        details.digest,
        title,
        subtitle,
        _assets(),
        libraries and libraries.digest,
        preview,
    )
    path = out / "index.html"
    if artifact_hash(conn, path.resolve()) == f"{inputs}:{_content(out)}":
        emit(PassFinished("page", time.monotonic() - started, True))
        return PageResult(path, True)
    prefix = f"{DATA}/{inputs[:12]}-"
    index = render(data, title=title, subtitle=subtitle, libraries=libraries, chunks=prefix, preview=preview)
    try:
        for number, text in enumerate(drawer.chunks(conn, details)):
            _write(out / f"{prefix}{number}.js", text)
        _write(out / "methodology.html", methodology.render(facts, data, title=title, libraries=libraries))
        _write(path, index)
        for old in (out / DATA).glob("*.js"):
            if not old.name.startswith(prefix.removeprefix(f"{DATA}/")):
                old.unlink()
    except OSError as error:
        raise PassError(f"The page cannot be written: {error}", hint="Choose another folder with --out.") from error
    put_artifact(conn, path.resolve(), f"{inputs}:{_content(out)}", run_id)
    emit(PassFinished("page", time.monotonic() - started, False, f"{len(data):,} datasets"))
    return PageResult(path, False)


def render(
    data: frame.Frame,
    *,
    title: str,
    subtitle: str,
    libraries: vendor.Vendor | None,
    chunks: str,
    preview: str | None = None,
) -> str:
    """Render the map page as HTML. `chunks` is how the addresses of the drawer's chunks begin, `preview` that of a picture."""
    drawing = plot.prepare(data)
    config = {
        "hub": HUB,
        "axes": [[axis.key, axis.heading, axis.kind] for axis in data.axes],
        "vocabularies": data.vocabularies,
        "topics": _topics(data, drawing),
        "layers": len(data.topic_of),
        "day": (data.day - date(1970, 1, 1)).days if data.day else None,
        "raw": {str(i): raw for i, raw in enumerate(data.repo_ids) if raw != _shown(raw)},
        "font": vendor.FONT_FAMILY,
        "chunks": {"size": drawer.CHUNK, "prefix": chunks},
    }
    urls = plot.script_urls()
    links = "" if libraries else "".join(f'<script src="{escape.html(url)}"></script>' for url in urls)
    badge = f"{data.day.day} {data.day:%B %Y}" if data.day else ""
    style = plot.Style(
        html=_skeleton(title=title, subtitle=subtitle, badge=badge) + links,
        css="\n".join(_asset(name) for name in STYLES),
        js="\n".join([f"const HFMAP = {escape.script_json(config)};", *(_asset(name) for name in MODULES)]),
    )
    page = plot.draw(data, drawing, _columns(data), title=str(escape.html(title)), style=style, vendor=libraries)
    embedded = [entry["encoded_content"] for entry in libraries.scripts(urls).values()] if libraries else [""]
    origins = [] if libraries else sorted({document.origin(url) for url in urls})
    return document.finish(page, title=title, description=subtitle, preview=preview, embedded=embedded, origins=origins)


def _topics(data: frame.Frame, drawing: plot.Drawing) -> list[list[Any]]:
    """Name, layer (0 is the coarsest), parent, size, x, y, DataMapPlot's number of the layer, colour."""
    return [
        [t.name, t.layer, t.parent, t.size, *place, drawing.layer_rows.get(t.layer, -1), color]
        for t, place, color in zip(data.topics, drawing.places, drawing.colors, strict=True)
    ]


def _shown(repo_id: str) -> str:
    return escape.plain(repo_id, 200)


def _columns(data: frame.Frame) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        # DataMapPlot insists on a column of this name.
        "hover_text": [_shown(repo_id) for repo_id in data.repo_ids],
        "pretty": data.pretty,
        "summary": data.summary,
        "licence": data.licence,
        "likes": data.likes,
        "downloads": data.downloads,
        "created": data.created,
        "modified": data.modified,
        "novelty": data.novelty,
    }
    columns |= {f"code_{key}": codes for key, codes in data.codes.items()}
    columns |= {f"bits_{key}": bits for key, bits in data.bits.items()}
    columns |= {f"topic_{layer}": members for layer, members in enumerate(data.topic_of)}
    return columns


def _skeleton(**values: Any) -> str:
    from jinja2 import Environment

    environment = Environment(autoescape=True, finalize=escape.html, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html")).render(**values)


def _asset(name: str) -> str:
    return (files("render.page") / "assets" / name).read_text(encoding="utf-8")


def _assets() -> str:
    """The hash of all that shapes a page besides the data: this package's own files, how it escapes, its libraries."""
    folder = Path(str(files("render.page")))
    sources = [*sorted(folder.glob("*.py")), *sorted((folder / "assets").glob("*.*")), folder.parent / "escape.py"]
    return _digest(methodology.versions(), *(_hash(source) for source in sources))


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _content(out: Path) -> str:
    """The hash of the page's files as they are now; of whatever is there of them."""
    paths = [out / "index.html", out / "methodology.html", *sorted((out / DATA).glob("*.js"))]
    return _digest(*((path.name, _hash(path)) for path in paths if path.is_file()))


def _write(target: Path, content: str) -> None:
    """Replace a file at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("w", encoding="utf-8", newline="\n") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
