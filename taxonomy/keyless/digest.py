"""Digests of the code and data behind keyless results: a changed rule makes results stale, a comment does not.

A digest covers the definitions that a function can reach within hfmap, as syntax trees without docstrings, and data
files by their bytes. Where code was only written differently and gives the same results, FIRST_STORED keeps the digest
under which databases hold them.
"""

from __future__ import annotations

import ast
import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from taxonomy.card import parse_card
from taxonomy.keyless import lexicon, linear, rules, summary

FIRST_STORED = {
    "f22780adf455d463d85c3ae2b8219ae410bdb7e94e125b22b7e99c55ecd5fa75": (
        "4c17addc6437ed136eacd10a38de2ec89f4076da94b46126298d0100db8cbb47"
    ),
    "0c5360dfe56b1d36": "5b15fa4c9a6c752d",
}
"""By the digest of the present code and data, the one under which the same results were first stored.

Right only while tests/taxonomy/test_digest.py finds the results unchanged; it says what to do when it does not.
"""

ROOT = Path(__file__).parents[2]
"""The folder that holds hfmap's packages."""

DATA = (lexicon.LEXICON, linear.WEIGHTS, summary.WEIGHTS)

#: How a taxonomy is read from a file makes no difference to results; what it says is named by its own digest.
_NOT_FOLLOWED = {("taxonomy.model", "load")}
#: Parts of a syntax tree that say nothing, or nothing in every version of Python.
_SILENT = {"ctx", "kind", "type_comment"}

Name = tuple[str, str]


@lru_cache(maxsize=1)
def rules_digest() -> str:
    """Digest what the rules' fields and summaries depend on besides card and taxonomy: SHA-256, hex."""
    trained = repr(sorted(rules.trained_fields().items()))
    own = code_digest((parse_card, rules.extract, rules.summarize), DATA, trained)
    return FIRST_STORED.get(own, own)


@lru_cache(maxsize=8)
def text_digest(function: Callable[..., str]) -> str:
    """Digest what a text that `function` makes of a card depends on: SHA-256, the first 16 hex digits."""
    own = code_digest((parse_card, function))[:16]
    return FIRST_STORED.get(own, own)


def code_digest(
    functions: Sequence[Callable[..., Any]], data: Sequence[Path] = (), also: str = "", root: Path = ROOT
) -> str:
    """Digest the code that functions can reach, data files, and a text: SHA-256, hex.

    `root` is where the packages' source is read, by default where they were imported from; `data` lies below ROOT.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256(also.encode())
    for name, code in sorted(_code(root).reached([(f.__module__, f.__qualname__) for f in functions]).items()):
        digest.update(f"\0{'.'.join(name)}\0{code}".encode())
    for path in data:
        digest.update(f"\0{path.name}\0".encode() + (root / path.relative_to(ROOT)).read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _code(root: Path) -> _Code:
    # The digests of a run share most modules.
    return _Code(root)


class _Code:
    """The source of hfmap's packages, read as far as it is asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules: dict[str, _Module] = {}

    def reached(self, names: Sequence[Name]) -> dict[Name, str]:
        """Collect the definitions of names and of all that they use, written out, by module and name."""
        found: dict[Name, str] = {}
        queue = list(names)
        seen = set(_NOT_FOLLOWED)
        while queue:
            module, name = queue.pop()
            # Of other libraries a specification says nothing.
            if (module, name) in seen or module.partition(".")[0] not in {"engine", "taxonomy"}:
                continue
            seen.add((module, name))
            code, used = self._module(module).definition(name)
            if code:
                found[module, name] = code
            queue += used
        return found

    def _module(self, name: str) -> _Module:
        if name not in self._modules:
            path = self._root.joinpath(*name.split(".")).with_suffix(".py")
            self._modules[name] = _Module(name, path.read_text(encoding="utf-8") if path.is_file() else "")
        return self._modules[name]


class _Module:
    """The names that a module defines, each with its statements, and those that it imports, with their homes."""

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._defined: dict[str, list[ast.stmt]] = defaultdict(list)
        self._imported: dict[str, Name] = {}
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._defined[node.name].append(node)
                continue
            for inner in ast.walk(node):
                if isinstance(inner, ast.ImportFrom):
                    self._imported |= {a.asname or a.name: (inner.module or "", a.name) for a in inner.names}
                elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    self._defined[inner.id].append(node)

    def definition(self, name: str) -> tuple[str, list[Name]]:
        """Write out the statements that define a name; return them with every name of hfmap that they may mean."""
        written = _Written()
        for node in self._defined.get(name, ()):
            written.add(node)
        used = [(self._name, inner) for inner in written.names]
        used += [self._imported[inner] for inner in (name, *written.names) if inner in self._imported]
        for owner, attribute in written.attributes:
            if owner in self._imported:
                package, module = self._imported[owner]
                used.append((f"{package}.{module}", attribute))
        return "".join(written.parts), [*used, *written.imports]


class _Written:
    """Syntax trees as text that is the same in every version of Python, without strings that stand alone.

    Attributes:
        parts: the text.
        names: every name in it.
        attributes: for each "a.b" in it, a and b.
        imports: for each "from a import b" in it, a and b.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[Name] = set()
        self.imports: set[Name] = set()

    def add(self, node: Any) -> None:
        """Write out one tree, list of trees or plain value."""
        if isinstance(node, ast.AST):
            self._note(node)
            self.parts.append(f"{type(node).__name__}(")
            for name, value in ast.iter_fields(node):
                if value is not None and value != [] and name not in _SILENT:
                    self.parts.append(name)
                    self.add(value)
            self.parts.append(")")
        elif isinstance(node, list):
            for item in node:
                if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)):
                    self.add(item)
            self.parts.append(";")
        else:
            # Not repr: which characters it writes out depends on the Unicode tables of a version.
            self.parts.append(ascii(node))

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            self.names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self.attributes.add((node.value.id, node.attr))
        elif isinstance(node, ast.ImportFrom):
            self.imports |= {(node.module or "", alias.name) for alias in node.names}
