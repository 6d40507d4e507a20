"""Options that several commands share, and the database that they name, opened to read or to correct it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from engine.config import Settings, load_settings
from engine.config.options import OPTIONS
from engine.providers import check_providers, forms
from engine.queries import open_database

F = TypeVar("F", bound=Callable[..., Any])

_PROVIDERS = {"embedder": forms("embedder"), "llm": forms("llm")}
"""What the settings that name a provider may be."""


def setting_option(name: str) -> Callable[[F], F]:
    """Add the flag of a setting. It is None where it is not given, so that the environment and hfmap.toml can speak."""
    option = OPTIONS[name]
    # Click would put a text of ours in brackets.
    told = f"{', '.join(_PROVIDERS[name])}." if name in _PROVIDERS else option.help
    shown = option.show_default if isinstance(option.show_default, str) else option.default
    return click.option(
        "/".join((*option.opts, *option.secondary_opts)),
        type=option.type,
        is_flag=option.is_flag,
        metavar=option.metavar,
        default=None,
        help=f"{told} [default: {shown}]" if option.show_default else told,
    )


def setting_options(*names: str) -> Callable[[F], F]:
    """Add the flags of settings, in this order."""

    def add(function: F) -> F:
        for name in reversed(names):
            function = setting_option(name)(function)
        return function

    return add


db_option = setting_option("db")
"""Add --db."""


def json_option(function: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")(function)


def read_settings(flags: Mapping[str, object]) -> Settings:
    """Settings from flags, the environment, hfmap.toml and the defaults; the providers that they name are checked, too.

    Raises:
        UsageError: a setting is wrong.
    """
    return check_providers(load_settings(flags))


def database_path(db: str | None) -> Path:
    """The database's path from --db, the environment, hfmap.toml or the default.

    Raises:
        UsageError: a setting is wrong.
    """
    return read_settings({"db": db}).db


@contextmanager
def reading(db: str | None) -> Iterator[sqlite3.Connection]:
    """A read-only connection whose rows are addressed by name; text that is not UTF-8 never raises.

    Raises:
        HfmapError: there is no database.
        StoreError: it cannot be used.
    """
    with open_database(database_path(db)) as conn:
        yield conn


@contextmanager
def correcting(db: str | None) -> Iterator[sqlite3.Connection]:
    """The database, locked, open for short transactions, its views as its taxonomy wants them.

    Raises:
        HfmapError: there is none.
        DatabaseBusyError: another command writes to it.
    """
    from engine.store.connection import missing_database, open_passes, prepare, writing
    from engine.store.views import ensure_views, taxonomy_in_force

    path = database_path(db)
    if not path.exists():
        raise missing_database(path)
    with writing(path):
        prepare(path)
        with open_passes(path) as conn:
            ensure_views(conn, taxonomy_in_force(conn))
            yield conn
