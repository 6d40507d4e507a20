"""A page as a static Space on the Hub, sent in one commit: there whole or not at all."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from engine.errors import HfmapError, KeyRefusedError, PassError, UsageError
from render.page.page import DATA, TITLE
from render.publish import MARK, Item, site, text

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


def space(out: Path, title: str = TITLE) -> list[Item]:
    """The files of a static Space that shows the page in `out`.

    Raises:
        PassError: there is no page.
    """
    # JSON is YAML: no title can end its line.
    card = f"---\ntitle: {json.dumps(title)}\nsdk: static\napp_file: index.html\npinned: false\n---\n\n"
    card += "A map of datasets on the Hub, drawn by hfmap. How it was made is told on its methodology page.\n"
    return sorted([*site(out), text("README.md", card)], key=lambda item: item.name)


def check_id(repo_id: str) -> None:
    """Refuse what cannot be the name of a Space.

    Raises:
        UsageError: it is not OWNER/NAME.
    """
    if not _ID.fullmatch(repo_id) or "--" in repo_id or ".." in repo_id or len(repo_id) > 96:
        raise UsageError(f"'{repo_id}' is not the name of a Space.", hint="Write it as OWNER/NAME.")


def send(items: list[Item], repo_id: str, *, endpoint: str, token: str | None) -> str:
    """Make the Space if there is none, and put the files into it; the Space's address.

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
