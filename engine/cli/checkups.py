"""The single checks of `hfmap doctor`. Each returns findings and raises nothing."""

from __future__ import annotations

import platform
import sqlite3
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from engine.cli._text import plain, size
from engine.config import Secrets, Settings, split_provider
from engine.errors import HfmapError
from engine.store.connection import open_readonly

REACH_SECONDS = 5.0
_OURS = ("engine", "taxonomy", "render")
_OLDEST_SQLITE = (3, 38, 0)  # `->>` in the views


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. "note" is neither good nor bad; "failed" makes the command fail."""

    name: str
    state: Literal["ok", "note", "warning", "failed"]
    text: str


def keys(secrets: Secrets) -> list[Check]:
    """Which keys are set, and what for."""
    uses = (
        ("CO_API_KEY", secrets.cohere, "embeddings by Cohere"),
        ("ANTHROPIC_API_KEY", secrets.anthropic, "fields, summaries and topic names by Claude"),
        ("HF_TOKEN", secrets.hub, "more requests to the Hub, and gated cards you may read"),
        ("OPENAI_API_KEY", secrets.openai, "servers named as openai:URL, where they want a key"),
    )
    return [
        Check("key", "ok" if key else "note", f"{name} is {'set' if key else 'not set'} ({use})")
        for name, key, use in uses
    ]


def providers(settings: Settings, secrets: Secrets) -> list[Check]:
    """Who embeds and who answers, with these settings and keys."""
    checks = []
    for name, resolve in (("embedder", settings.embedder_in_use), ("llm", settings.llm_in_use)):
        try:
            chosen = resolve(secrets)
        except HfmapError as error:
            checks.append(Check(name, "failed", str(error)))
        else:
            asked = f" (auto, from {settings.origin(name)})" if getattr(settings, name) == "auto" else ""
            checks.append(Check(name, "ok", f"{chosen}{asked}"))
    return checks


def endpoints(settings: Settings, secrets: Secrets, *, offline: bool) -> list[Check]:
    """Whether the services that a sync with these settings would use answer a bare GET, without keys."""
    used = []
    if settings.source == "hub":
        used.append(("Hub", secrets.endpoints.hub))
    if secrets.cohere and settings.embedder in {"auto", "cohere"}:
        used.append(("Cohere", secrets.endpoints.cohere))
    if secrets.anthropic and settings.llm in {"auto", "anthropic"}:
        used.append(("Anthropic", secrets.endpoints.anthropic))
    for name, choice in (("Embedder", settings.embedder), ("LLM", settings.llm)):
        kind, url = split_provider(choice)
        if kind == "openai":
            used.append((name, url))
    if offline:
        return [Check("service", "note", f"{name} at {_shown(url)}: not tried") for name, url in used]
    return [_reach(name, url) for name, url in used]


def _reach(name: str, url: str) -> Check:
    import httpx

    try:
        # Any answer will do, also 401 or 404: it shows that the way there is open. Only its head is read.
        with httpx.stream("GET", url, timeout=REACH_SECONDS, follow_redirects=False) as answer:
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = plain(str(error)) or type(error).__name__
        return Check("service", "failed", f"{name} at {_shown(url)} does not answer: {reason}")
    if status >= 500:
        return Check("service", "warning", f"{name} at {_shown(url)} answers with {status}")
    return Check("service", "ok", f"{name} at {_shown(url)} answers")


def _shown(url: str) -> str:
    """An address without the user and password it may carry."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def database(path: Path) -> list[Check]:
    """Whether the database is there, whole, and of this version."""
    if not path.exists():
        return [Check("database", "note", f"none at {path} yet; make one: hfmap sync --source sample")]
    try:
        conn = open_readonly(path)
    except HfmapError as error:
        return [Check("database", "failed", f"{error} {error.hint or ''}".strip())]
    try:
        conn.text_factory = lambda raw: raw.decode("utf-8", "replace")
        found = [row[0] for row in conn.execute("PRAGMA quick_check(3)")]
        number = conn.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        return [Check("database", "failed", f"{path}: {error}")]
    finally:
        conn.close()
    if found != ["ok"]:
        return [Check("database", "failed", f"{path} is damaged: {'; '.join(found)}")]
    return [Check("database", "ok", f"{path}, version {number}, {size(path.stat().st_size)}, whole")]


def browser_libraries() -> list[Check]:
    """Whether the JavaScript and the typeface that the page carries were fetched at installation, unharmed."""
    from render.vendor import load

    carried = load()
    if carried is None:
        text = "not installed, or damaged: the page will link to a CDN and need a network; install hfmap again"
        return [Check("browser", "warning", text)]
    versions = ", ".join(f"{name} {number}" for name, number in sorted(carried.versions.items()))
    return [Check("browser", "ok", f"{versions}: the page needs no network")]


def packages() -> list[Check]:
    """Whether our top-level packages are ours: other distributions have some of these names too."""
    try:
        number = version("hfmap")
    except PackageNotFoundError:
        return [Check("packages", "note", "hfmap is not installed: running from its source")]
    owners = packages_distributions()
    checks = []
    for name in _OURS:
        others = sorted({owner for owner in owners.get(name, []) if owner.lower() != "hfmap"})
        if others:
            text = f"'{name}' is also installed by {', '.join(others)}; install hfmap apart: uv tool install"
            checks.append(Check("packages", "failed", text))
    return checks or [Check("packages", "ok", f"hfmap {number}; {', '.join(_OURS)} belong to it alone")]


def interpreter() -> list[Check]:
    """Python, and a SQLite with all that the schema needs."""
    checks = [Check("python", "ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")]
    conn = sqlite3.connect(":memory:")
    try:
        conn.execute("CREATE VIRTUAL TABLE probe USING fts5 (text)")
        full_text = True
    except sqlite3.Error:
        full_text = False
    finally:
        conn.close()
    number = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        checks.append(Check("sqlite", "failed", f"SQLite {number} is too old: 3.38 is needed"))
    elif not full_text:
        checks.append(Check("sqlite", "failed", f"SQLite {number} was built without FTS5"))
    else:
        checks.append(Check("sqlite", "ok", f"SQLite {number} with FTS5"))
    return checks
