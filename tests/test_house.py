"""The house stays in order: where SQL stands, what imports what, and that no private door of a library is used."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = ("engine", "taxonomy", "render")
SQL_ROOMS = ("engine.store", "engine.queries")

ONE_IMPORTER = 25
"""Modules that exactly one other module imports. Two halves of one thought are one module."""
LONGEST = 350
"""Lines of a module."""

PRIVATE_DOORS = {
    "render.page.datamapplot": "DataMapPlot's page, which its public functions do not let one change",
}
"""The files that may use a library's private names, and what for."""

NAMED_TUPLE = {"_asdict", "_fields", "_make", "_replace"}
"""Public for all their underscore: a named tuple keeps its other names for fields."""
DOCUMENTED = {"os._exit"}
"""Of the standard library, for everyone's use."""
KNOWN_DOORS = {"_a", "_b", "_config", "_conn", "_execute"}
"""Names that were used here once, of aiosqlite, scikit-learn and others."""

_VERB = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|CREATE|DROP|ALTER|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b"
)
_ALONE = ("PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
"""SQL by their first word alone; what begins with another is SQL where it names a table or a view."""


@dataclass(frozen=True)
class Module:
    """A module of the program, read but not run."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


@cache
def modules() -> dict[str, Module]:
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            text = path.read_text(encoding="utf-8")
            found[name] = Module(name, path, text, ast.parse(text))
    return found


@cache
def tables() -> re.Pattern[str]:
    """The names of the schema's tables and views, as words."""
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.executescript((ROOT / "hfmap.sqlite.schema.sql").read_text(encoding="utf-8"))
        names = [row[0] for row in conn.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]
    return re.compile(rf"\b({'|'.join([*names, 'sqlite_schema', 'sqlite_master', 'pragma_[a-z_]+'])})\b")


def is_sql(text: str) -> bool:
    verb = _VERB.match(text)
    if verb is None:
        return False
    return verb[1] in _ALONE or tables().search(text) is not None


def strings(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """String constants, docstrings apart; an f-string with a word in place of what it takes in."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    told = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(str(v.value) if isinstance(v, ast.Constant) else "dataset" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (inside | told):
            yield node, node.value


def importers() -> dict[str, set[str]]:
    """For each module, those that import it or something of it."""
    known, found = modules(), defaultdict[str, set[str]](set)
    for module in known.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.name].add(module.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    found[whole if whole in known else node.module].add(module.name)
    return {name: found[name] - {name} for name in known}


def defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module gives: to functions, classes, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                yield node.attr
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__":
            yield from ast.literal_eval(node.value)


def from_outside(tree: ast.Module) -> set[str]:
    """The names under which a module imports what is not hfmap's."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(a.asname or a.name).split(".")[0] for a in node.names if a.name.split(".")[0] not in ROOMS}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in ROOMS and not node.level:
            names |= {a.asname or a.name for a in node.names}
    return names


def private(name: str) -> bool:
    return (
        name.isidentifier()
        and name.startswith("_")
        and not name.startswith("__")
        and name.strip("_") != ""
        and name not in NAMED_TUPLE
    )


def root(node: ast.expr) -> str:
    """The name at the left end of a chain of attributes, calls and items; empty where there is none."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def private_doors(module: Module, own: set[str]) -> Iterator[str]:
    """Where a module uses a private name that is a library's: one that comes from an import, or that is none of `own`."""
    outside = from_outside(module.tree)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] not in ROOMS:
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from (f"{module.at(node)}: {part}" for part in parts if private(part) and node.module != "__future__")
        elif isinstance(node, ast.Import):
            parts = [part for alias in node.names for part in alias.name.split(".")]
            yield from (f"{module.at(node)}: {part}" for part in parts if private(part))
        elif isinstance(node, ast.Attribute) and private(node.attr):
            direct = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            known = node.attr in KNOWN_DOORS and not direct
            if ast.unparse(node) in DOCUMENTED:
                continue
            if known or node.attr not in own or root(node.value) in outside:
                yield f"{module.at(node)}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call):
            # As `getattr` takes it, and whatever puts something in its place.
            texts = [arg.value for arg in node.args[1:] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            yield from (f"{module.at(node)}: {word}" for word in texts if private(word) and word not in own)


def test_sql_stands_with_the_database() -> None:
    found = [
        f"{module.at(node)}: {' '.join(text.split())[:70]}"
        for name, module in modules().items()
        if not name.startswith(SQL_ROOMS)
        for node, text in strings(module.tree)
        if is_sql(text)
    ]
    assert not found, (
        "SQL stands in engine/store (what writes, and reads of a group of tables) and in engine/queries (questions); "
        "other rooms call functions of these:\n" + "\n".join(found)
    )


def test_halves_of_one_thought_are_one_module() -> None:
    alone = [f"{name} (only {next(iter(by))})" for name, by in importers().items() if len(by) == 1]
    assert len(alone) <= ONE_IMPORTER, (
        f"At most {ONE_IMPORTER} modules may have exactly one importer: join such a module with the one that uses it, "
        f"unless it stands for itself. {len(alone)} have one now:\n" + "\n".join(alone)
    )


def test_no_private_door_of_a_library() -> None:
    own = {name for module in modules().values() for name in defined(module.tree)}
    found = [
        line for name, module in modules().items() if name not in PRIVATE_DOORS for line in private_doors(module, own)
    ]
    assert not found, (
        "A name with an underscore is a library's own business and changes without notice: use what it documents, or "
        "do without. Where it cannot be helped, PRIVATE_DOORS names the file and the reason:\n" + "\n".join(found)
    )


def test_files_that_may_use_private_doors_do() -> None:
    own = {name for module in modules().values() for name in defined(module.tree)}
    unused = [name for name in PRIVATE_DOORS if name not in modules() or not any(private_doors(modules()[name], own))]
    assert not unused, f"These use no private name of a library any more; take them out of PRIVATE_DOORS: {unused}"


def test_no_module_is_too_long() -> None:
    long = {name: lines for name, module in modules().items() if (lines := module.text.count("\n")) > LONGEST}
    assert not long, f"A module holds one thought, and has at most {LONGEST} lines: {long}"


def test_no_two_classes_share_a_name() -> None:
    where = defaultdict[str, list[str]](list)
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(module.at(node))
    shared = {name: places for name, places in where.items() if len(places) > 1}
    assert not shared, (
        "A name means one thing in the whole program; call one of these after what sets it apart:\n"
        + "\n".join(f"{name}: {', '.join(places)}" for name, places in shared.items())
    )


def test_every_module_says_what_it_is() -> None:
    silent = [str(module.path.relative_to(ROOT)) for module in modules().values() if not ast.get_docstring(module.tree)]
    assert not silent, f"The first line of a module says what it is, as one would search for it: {silent}"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import aiosqlite\nasync def f(c):\n    await c._execute(1)", ["c._execute"]),
        ("import numba\nnumba.core._config", ["numba.core._config"]),
        ("from sklearn._loss import x", ["_loss"]),
        ("getattr(x, '_hidden')", ["_hidden"]),
        ("class A:\n    def f(self):\n        self._mine = self._mine", []),
        ("import os\nos._exit(0)", []),
        ("row._replace(a=1)", []),
        ("class B:\n    def f(self):\n        self._theirs()", ["self._theirs"]),
    ],
)
def test_private_doors_are_seen(code: str, found: list[str]) -> None:
    tree = ast.parse(code)
    seen = private_doors(Module("x", ROOT / "x.py", code, tree), set(defined(tree)))
    assert [line.partition(": ")[2] for line in seen] == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT repo_id FROM datasets", True),
        ("\n    WITH near AS (SELECT 1) SELECT * FROM result", True),
        ("PRAGMA user_version", True),
        ("BEGIN IMMEDIATE", True),
        ("SELECT ids where nothing is asked", False),
        ("Select a dataset", False),
        ("Insert coin", False),
    ],
)
def test_sql_is_seen(text: str, expected: bool) -> None:
    assert is_sql(text) is expected


def test_what_is_counted_is_there() -> None:
    """A folder that is called otherwise would make every test above pass."""
    by_room = Counter(name.split(".")[0] for name in modules())
    assert set(by_room) == set(ROOMS)
    assert all(any(name.startswith(room) for name in modules()) for room in SQL_ROOMS)
