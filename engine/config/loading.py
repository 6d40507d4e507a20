"""From flags, the environment and hfmap.toml to settings."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.config.settings import SETTING_NAMES, Settings, split_provider
from engine.config.values import READERS, Place
from engine.errors import UsageError

FILE_NAME = "hfmap.toml"
PREFIX = "HFMAP_"
_NOT_SETTINGS = frozenset({"HFMAP_DEBUG"})


def load_settings(
    flags: Mapping[str, object], *, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> Settings:
    """Settings from flags (None: not given), the environment, `cwd`/hfmap.toml and the defaults.

    An `overshoot` nobody sets follows the target: a fifth more, and at least 1,000 more (5,000 → 6,000).

    Raises:
        UsageError: a value makes no sense, or a key is unknown; the sentence names its origin.
    """
    file = (cwd or Path.cwd()) / FILE_NAME
    written = _read_file(file)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in SETTING_NAMES:
        variable = PREFIX + name.upper()
        if flags.get(name) is not None:
            flag = "--" + ("" if flags[name] is not False else "no-") + name.replace("_", "-")
            origin, raw = flag, flags[name]
        elif environ.get(variable, "").strip():
            origin, raw = variable, environ[variable].strip()
        elif name in written:
            origin, raw = FILE_NAME, written[name]
        else:
            continue
        values[name] = READERS[name](raw, Place(name, origin, strict=origin == FILE_NAME))
        origins[name] = origin
    target = values.get("target", Settings().target)
    values.setdefault("overshoot", target + max(1000, target // 5))
    settings = Settings(**values, origins=MappingProxyType({n: origins.get(n, "default") for n in SETTING_NAMES}))
    _check_together(settings)
    return settings


def unknown_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Variables that begin like a setting but are none, each with the nearest real one."""
    known = [PREFIX + name.upper() for name in SETTING_NAMES]
    strange = (v for v in environ if v.startswith(PREFIX) and v not in known and v not in _NOT_SETTINGS)
    return {v: next(iter(get_close_matches(v, known, 1)), None) for v in sorted(strange)}


def _check_together(settings: Settings) -> None:
    if settings.overshoot < settings.target:
        raise UsageError(
            f"overshoot ({settings.overshoot}, from {settings.origin('overshoot')}) is below "
            f"target ({settings.target}, from {settings.origin('target')}).",
            hint="list at least as many datasets as the map is to hold.",
        )
    if settings.json and settings.quiet:
        raise UsageError(
            f"json (from {settings.origin('json')}) and quiet (from {settings.origin('quiet')}) exclude each other."
        )

    for name, model in (("llm", "model"), ("embedder", "embed_model")):
        if split_provider(getattr(settings, name))[0] == "openai" and getattr(settings, model) is None:
            flag = "--" + model.replace("_", "-")
            raise UsageError(
                f"{name} is {getattr(settings, name)} (from {settings.origin(name)}), but no model is named.",
                hint=f"name one that the server has: {flag} NAME",
            )


def _read_file(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as stream:
            table = tomllib.load(stream)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}.", hint=f"mend or remove {FILE_NAME}.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    written = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in SETTING_NAMES:
            raise UsageError(f"{file} has an unknown key '{key}'.", hint=_near_key(name))
        written[name] = value
    return written


def _near_key(name: str) -> str:
    if any(part in name.lower() for part in ("key", "token", "secret")):
        return "keys are read from the environment alone: CO_API_KEY, ANTHROPIC_API_KEY, HF_TOKEN."
    near = get_close_matches(name.lower(), SETTING_NAMES, 1)
    return f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(SETTING_NAMES)}."
