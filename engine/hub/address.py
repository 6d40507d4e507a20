"""Addresses at the Hub, and what is said where one cannot be asked."""

from __future__ import annotations

from urllib.parse import quote

from engine.errors import KeyRefusedError
from engine.text import shown


def token_refused(endpoint: str, status: int) -> KeyRefusedError:
    """Make the error of a token that the Hub does not accept."""
    return KeyRefusedError(
        f"The Hub at {shown(endpoint)} refuses the token in HF_TOKEN (HTTP {status}).",
        hint="Set a valid token, or unset HF_TOKEN: public datasets need none.",
    )


def dataset_url(endpoint: str, repo_id: str) -> str:
    """Return the address of a dataset's page."""
    return f"{shown(endpoint)}/datasets/{quote(repo_id, safe='/')}"


def reason(error: Exception) -> str:
    """Return an error's text on one line, cut, to stand within a sentence."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
