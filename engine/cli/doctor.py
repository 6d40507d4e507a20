"""`hfmap doctor`: whether all that a run needs is there. Of keys it says whether they are set, no more.

Each check returns findings and raises nothing.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any, Literal

import click

from engine import queries
from engine.cli._options import db_option, json_option, read_settings
from engine.cli._output import Output
from engine.cli._text import plain, size
from engine.config import SETTING_NAMES, Secrets, Settings, unknown_variables
from engine.config.secrets import HUB_KEY
from engine.errors import EXIT_DONE, EXIT_FAILED, HfmapError, KeyRefusedError
from engine.providers import PROVIDERS, embedder_in_use, llm_in_use, load_secrets
from engine.text import shown

REACH_SECONDS = 5.0
_OURS = ("engine", "taxonomy", "render")
_MARKS = {"ok": "✓", "note": "·", "warning": "!", "failed": "✗"}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. "note" is neither good nor bad; "failed" makes the command fail."""

    name: str
    state: Literal["ok", "note", "warning", "failed"]
    text: str


@click.command()
@db_option
@click.option("--offline", is_flag=True, help="Do not try to reach any service.")
@json_option
def doctor(db: str | None, offline: bool, as_json: bool) -> int:
    """Check settings, keys, services, database and installation.

    It ends with 1 if something is broken.
    """
    output = Output("json" if as_json else "human")
    settings, secrets, problems = _settings(db)
    checks = [*problems, *_variables(os.environ)]
    if secrets is not None:
        checks += _keys(secrets)
    if settings is not None and secrets is not None:
        checks += _providers(settings, secrets)
        checks += _endpoints(settings, secrets, offline=offline)
    if settings is not None:
        checks += _database(settings.db)
    checks += [*_browser_libraries(), *_packages(), *_interpreter()]
    broken = any(check.state == "failed" for check in checks)
    if as_json:
        output.json(_as_json(settings, checks, broken), indent=2)
    else:
        _print(output, settings, checks)
    return EXIT_FAILED if broken else EXIT_DONE


def _settings(db: str | None) -> tuple[Settings | None, Secrets | None, list[Check]]:
    problems = []
    settings = secrets = None
    try:
        settings = read_settings({"db": db})
    except HfmapError as error:
        problems.append(Check("settings", "failed", _sentence(error)))
    try:
        secrets = load_secrets()
    except HfmapError as error:
        problems.append(Check("keys", "failed", _sentence(error)))
    return settings, secrets, problems


def _sentence(error: HfmapError) -> str:
    return f"{error} {error.hint}" if error.hint else str(error)


def _variables(environ: Mapping[str, str]) -> list[Check]:
    checks = []
    for variable, near in unknown_variables(environ).items():
        ask = f"; did you mean {near}?" if near else ""
        checks.append(Check("environment", "warning", f"{variable} is not a setting{ask}"))
    return checks


def _keys(secrets: Secrets) -> list[Check]:
    """Which keys are set, and what for."""
    rows = [row for row in PROVIDERS.values() if row.key]
    uses = [
        *((row.key, row.key_use) for row in rows if row.paid),
        (HUB_KEY, "more requests to the Hub, and gated cards you may read"),
        *((row.key, row.key_use) for row in rows if not row.paid),
    ]
    found = ((variable, use, secrets.key(variable)) for variable, use in uses)
    return [
        Check("key", "ok" if key else "note", f"{variable} is {'set' if key else 'not set'} ({use})")
        for variable, use, key in found
    ]


def _providers(settings: Settings, secrets: Secrets) -> list[Check]:
    """Who embeds and who answers, with these settings and keys."""
    checks = []
    for name, resolve in (("embedder", embedder_in_use), ("llm", llm_in_use)):
        try:
            chosen = resolve(settings, secrets)
        except HfmapError as error:
            checks.append(Check(name, "failed", str(error)))
        else:
            asked = f" (auto, from {settings.origin(name)})" if getattr(settings, name) == "auto" else ""
            checks.append(Check(name, "ok", f"{chosen}{asked}"))
    return checks


def _endpoints(settings: Settings, secrets: Secrets, *, offline: bool) -> list[Check]:
    """Whether the services that a sync with these settings would use answer a bare GET, without keys."""
    used = []
    if settings.source == "hub":
        used.append(("Hub", secrets.hub_address))
    for name, resolve in (("Embedder", embedder_in_use), ("LLM", llm_in_use)):
        with suppress(KeyRefusedError):  # which is a finding of its own
            choice = resolve(settings, secrets)
            if choice.row.address:
                used.append((choice.row.title, secrets.address(choice.row.address_variable, choice.row.address)))
            elif choice.row.takes == "URL":
                used.append((name, choice.rest))
    if offline:
        return [Check("service", "note", f"{name} at {shown(url)}: not tried") for name, url in used]
    return [_reach(name, url) for name, url in used]


def _reach(name: str, url: str) -> Check:
    import httpx

    try:
        # Any answer will do, also 401 or 404: it shows that the way there is open. Only its head is read.
        with httpx.stream("GET", url, timeout=REACH_SECONDS, follow_redirects=False) as answer:
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = plain(str(error)) or type(error).__name__
        return Check("service", "failed", f"{name} at {shown(url)} does not answer: {reason}")
    if status >= 500:
        return Check("service", "warning", f"{name} at {shown(url)} answers with {status}")
    return Check("service", "ok", f"{name} at {shown(url)} answers")


def _database(path: Path) -> list[Check]:
    """Whether the database is there, whole, and of this version."""
    from engine.queries.integrity import check_integrity

    if not path.exists():
        return [Check("database", "note", f"none at {path} yet; make one: hfmap sync --source sample")]
    try:
        with queries.open_database(path) as conn:
            found = check_integrity(conn)
    except HfmapError as error:
        return [Check("database", "failed", f"{error} {error.hint or ''}".strip())]
    except sqlite3.Error as error:
        return [Check("database", "failed", f"{path}: {error}")]
    if found.faults:
        return [Check("database", "failed", f"{path} is damaged: {'; '.join(found.faults)}")]
    return [Check("database", "ok", f"{path}, version {found.version}, {size(path.stat().st_size)}, whole")]


def _browser_libraries() -> list[Check]:
    """Whether the JavaScript and the typeface that the page carries were fetched at installation, unharmed."""
    from render.vendor import load

    carried = load()
    if carried is None:
        text = "not installed, or damaged: the page will link to a CDN and need a network; install hfmap again"
        return [Check("browser", "warning", text)]
    versions = ", ".join(f"{name} {number}" for name, number in sorted(carried.versions.items()))
    return [Check("browser", "ok", f"{versions}: the page needs no network")]


def _packages() -> list[Check]:
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


def _interpreter() -> list[Check]:
    """Python, and a SQLite with all that the schema needs."""
    from engine.queries.integrity import missing_of_sqlite

    checks = [Check("python", "ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")]
    lacking = missing_of_sqlite()
    checks.append(
        Check("sqlite", "failed" if lacking else "ok", lacking or f"SQLite {sqlite3.sqlite_version} with FTS5")
    )
    return checks


def _as_json(settings: Settings | None, checks: list[Check], broken: bool) -> dict[str, Any]:
    values = {} if settings is None else settings.as_json()
    return {
        "ok": not broken,
        "settings": {
            name: {"value": values[name], "origin": settings.origin(name) if settings else None} for name in values
        },
        "checks": [{"name": c.name, "state": c.state, "text": c.text} for c in checks],
        "folder": str(Path.cwd()),
        "python": sys.version.split()[0],
    }


_WIDTH = max(map(len, SETTING_NAMES))


def _print(output: Output, settings: Settings | None, checks: list[Check]) -> None:
    if settings is not None:
        output.data("settings")
        values = settings.as_json()
        for name in SETTING_NAMES:
            value = (
                "not set"
                if values[name] is None
                else str(values[name]).lower()
                if isinstance(values[name], bool)
                else values[name]
            )
            output.data(f"  {name:<{_WIDTH}} {value!s:<20} {settings.origin(name)}")
        output.data("")
    for check in checks:
        output.data(output.redact(f"{_MARKS[check.state]} {check.name:<12} {check.text}"))
