"""Publish the page: as a folder for GitHub Pages, or as a static Space on the Hub.

Only what the page pass writes is published, whatever else lies in its folder: a database beside the page stays
at home. A Space is sent in one commit: it is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engine.errors import HfmapError, KeyRefusedError, PassError, UsageError
from render.page.page import DATA, PREVIEW, TITLE

MARK = ".hfmap"
"""The file by which a published folder, or Space, is known as one that may be replaced."""
_MARK_TEXT = "This folder is written by `hfmap publish` and replaced whole each time.\n"
_KEPT = (".git", "CNAME")
"""What belongs to the place and not to the page: a checkout's own file or folder, and the name of a domain."""
_SPACE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A file of a site: its path in the site with forward slashes, where it lies or its text, and its bytes."""

    name: str
    source: Path | str
    size: int

    def write(self, folder: Path) -> None:
        """Write the file into a folder."""
        target = folder / self.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(self.source, Path):
            shutil.copyfile(self.source, target)
        else:
            target.write_text(self.source, encoding="utf-8", newline="\n")


def site_items(out: Path) -> list[SiteFile]:
    """Return the files of the page in `out`, in the order of their names, with the mark.

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
        SiteFile(path.relative_to(out).as_posix(), path, path.stat().st_size)
        for path in paths
        if path.is_file() and not path.name.startswith(".")
    ]
    return sorted([*items, _text(MARK, _MARK_TEXT)], key=lambda item: item.name)


def _text(name: str, content: str) -> SiteFile:
    """A file that is made for the place where the site goes."""
    return SiteFile(name, content, len(content.encode()))


def write_pages(out: Path, target: Path) -> list[SiteFile]:
    """Make `target` a folder that GitHub Pages can serve: replaced whole, or left as it was; returns the files in it.

    Raises:
        UsageError: `target` is something that hfmap must not replace.
        PassError: there is no page, or the folder cannot be written.
    """
    items = [*site_items(out), _text(".nojekyll", "")]
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


def space_items(out: Path, title: str = TITLE) -> list[SiteFile]:
    """Return the files of a static Space that shows the page in `out`.

    Raises:
        PassError: there is no page.
    """
    # JSON is YAML: no title can end its line.
    card = f"---\ntitle: {json.dumps(title)}\nsdk: static\napp_file: index.html\npinned: false\n---\n\n"
    card += "A map of datasets on the Hub, drawn by hfmap. How it was made is told on its methodology page.\n"
    return sorted([*site_items(out), _text("README.md", card)], key=lambda item: item.name)


def check_space_id(repo_id: str) -> None:
    """Check the name of a Space.

    Raises:
        UsageError: it is not OWNER/NAME.
    """
    if not _SPACE_ID.fullmatch(repo_id) or "--" in repo_id or ".." in repo_id or len(repo_id) > 96:
        raise UsageError(f"'{repo_id}' is not the name of a Space.", hint="Write it as OWNER/NAME.")


def send_to_space(items: list[SiteFile], repo_id: str, *, endpoint: str, token: str | None) -> str:
    """Make the Space if there is none, and put the files into it; returns the Space's address.

    Chunks of an earlier page are removed from it; its other files stay.

    Raises:
        KeyRefusedError: the token is missing or may not do it.
        UsageError: there is a Space of that name which shows something else.
        PassError: the Hub cannot be reached, or refuses.
    """
    if not token:
        raise KeyRefusedError(
            "A Space cannot be written without HF_TOKEN, which is not set.",
            hint="export HF_TOKEN=… with a token that may write; without --send nothing needs one.",
        )
    # Read when the library is imported; otherwise it tells the Hub which program runs it.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=endpoint, token=token)
    try:
        api.create_repo(repo_id, repo_type="space", space_sdk="static", exist_ok=True)
        there = set(api.list_repo_files(repo_id, repo_type="space"))
        if "index.html" in there and MARK not in there:
            raise UsageError(
                f"The Space {repo_id} shows something that does not come from `hfmap publish`.",
                hint="Name another Space, or delete its index.html first.",
            )
        with tempfile.TemporaryDirectory() as folder:
            for item in items:
                item.write(Path(folder))
            api.upload_folder(
                folder_path=folder,
                repo_id=repo_id,
                repo_type="space",
                commit_message="Update the map",
                delete_patterns=[f"{DATA}/*.js"],
            )
    except HfHubHTTPError as error:
        raise _refused(repo_id, error.response.status_code) from error
    except (httpx2.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
        # The kind alone: its text may repeat headers.
        raise PassError(
            f"The Space {repo_id} could not be written: {type(error).__name__}.",
            hint="Check the network and HF_ENDPOINT, and run the same command again: nothing is sent by halves.",
        ) from error
    return f"{endpoint}/spaces/{repo_id}"


def _refused(repo_id: str, status: int) -> HfmapError:
    if status in (401, 403):
        return KeyRefusedError(
            f"The token in HF_TOKEN may not write to the Space {repo_id} (HTTP {status}).",
            hint="Take a token that may write there.",
        )
    return PassError(
        f"The Hub refused to write the Space {repo_id} (HTTP {status}).", hint="Run the same command again later."
    )
