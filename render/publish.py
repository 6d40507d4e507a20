"""A page made ready to be served by others: what belongs to it, and a folder for GitHub Pages.

Only what the page pass writes is published, whatever else lies in its folder: a database beside the page stays
at home.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.errors import PassError, UsageError
from render.page.page import DATA, PREVIEW

MARK = ".hfmap"
"""The file by which a published folder, or Space, is known as one that may be replaced."""
_MARK_TEXT = "This folder is written by `hfmap publish` and replaced whole each time.\n"
_KEPT = (".git", "CNAME")
"""What belongs to the place and not to the page: a checkout's own file or folder, and the name of a domain."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a site: its path in the site with forward slashes, where it lies or its text, and its bytes."""

    name: str
    source: Path | str
    size: int

    def write(self, folder: Path) -> None:
        """Put it into a folder."""
        target = folder / self.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(self.source, Path):
            shutil.copyfile(self.source, target)
        else:
            target.write_text(self.source, encoding="utf-8", newline="\n")


def site(out: Path) -> list[Item]:
    """The files of the page in `out`, in the order of their names, with the mark.

    Raises:
        PassError: there is no page.
    """
    pages = [out / "index.html", out / "methodology.html"]
    if not all(page.is_file() for page in pages):
        raise PassError(
            f"There is no map in {out}.",
            hint="Draw it with `hfmap sync` or `hfmap map`, or name its folder with --out.",
        )
    paths = [*pages, out / PREVIEW, *(out / DATA).glob("*.js")]
    items = [
        Item(path.relative_to(out).as_posix(), path, path.stat().st_size)
        for path in paths
        if path.is_file() and not path.name.startswith(".")
    ]
    return sorted([*items, text(MARK, _MARK_TEXT)], key=lambda item: item.name)


def text(name: str, content: str) -> Item:
    """A file that is made for the place where the site goes."""
    return Item(name, content, len(content.encode()))


def pages(out: Path, target: Path) -> list[Item]:
    """Make `target` a folder that GitHub Pages can serve: replaced whole, or left as it was; the files in it.

    Raises:
        UsageError: `target` is something that hfmap must not replace.
        PassError: there is no page, or the folder cannot be written.
    """
    items = [*site(out), text(".nojekyll", "")]
    target = target.resolve()
    _check(out.resolve(), target)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        for item in items:
            item.write(scratch)
        _swap(target, scratch)
    except OSError as error:
        raise PassError(f"The folder cannot be written: {error}", hint="Choose another one with --pages.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return items


def _check(out: Path, target: Path) -> None:
    if target == out or out.is_relative_to(target) or target.is_relative_to(out):
        raise UsageError(
            f"{target} and the page's own folder {out} lie in one another.",
            hint="Name another folder: it is replaced whole.",
        )
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is not a folder.", hint="Name a folder that is new or empty.")
    if (target / MARK).is_file() or all(entry.name in _KEPT for entry in target.iterdir()):
        return
    raise UsageError(
        f"{target} holds files that do not come from `hfmap publish`.",
        hint="It would be replaced whole: name a folder that is new or empty.",
    )


def _swap(target: Path, scratch: Path) -> None:
    """Put `scratch` in the place of `target` by renaming, and everything back where that fails."""
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if not target.exists():
        scratch.rename(target)
        return
    target.rename(old)
    moved: list[str] = []
    try:
        for name in _KEPT:
            if (old / name).exists():
                (old / name).rename(scratch / name)
                moved.append(name)
        scratch.rename(target)
    except OSError:
        for name in moved:
            (scratch / name).rename(old / name)
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
