"""`hfmap doctor`: whether all that a run needs is there. Of keys it says whether they are set, no more."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from engine.cli import checkups
from engine.cli._options import db_option, json_option
from engine.cli._output import Output
from engine.cli.checkups import Check
from engine.config import SETTING_NAMES, Secrets, Settings, load_secrets, load_settings, unknown_variables
from engine.errors import EXIT_DONE, EXIT_FAILED, HfmapError

_MARKS = {"ok": "✓", "note": "·", "warning": "!", "failed": "✗"}


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
        checks += checkups.keys(secrets)
    if settings is not None and secrets is not None:
        checks += checkups.providers(settings, secrets)
        checks += checkups.endpoints(settings, secrets, offline=offline)
    if settings is not None:
        checks += checkups.database(settings.db)
    checks += [*checkups.browser_libraries(), *checkups.packages(), *checkups.interpreter()]
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
        settings = load_settings({"db": db})
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


def _as_json(settings: Settings | None, checks: list[Check], broken: bool) -> dict[str, Any]:
    shown = {} if settings is None else settings.as_json()
    return {
        "ok": not broken,
        "settings": {
            name: {"value": shown[name], "origin": settings.origin(name) if settings else None} for name in shown
        },
        "checks": [{"name": c.name, "state": c.state, "text": c.text} for c in checks],
        "folder": str(Path.cwd()),
        "python": sys.version.split()[0],
    }


_WIDTH = max(map(len, SETTING_NAMES))


def _print(output: Output, settings: Settings | None, checks: list[Check]) -> None:
    if settings is not None:
        output.data("settings")
        shown = settings.as_json()
        for name in SETTING_NAMES:
            value = (
                "not set"
                if shown[name] is None
                else str(shown[name]).lower()
                if isinstance(shown[name], bool)
                else shown[name]
            )
            output.data(f"  {name:<{_WIDTH}} {value!s:<20} {settings.origin(name)}")
        output.data("")
    for check in checks:
        output.data(output.redact(f"{_MARKS[check.state]} {check.name:<12} {check.text}"))
