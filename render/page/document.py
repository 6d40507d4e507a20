"""Finish a page: no link to another host, and a content-security policy that lets nothing foreign run.

The content-security policy names the hash of every script on the page. A script that came in with somebody's
text has none of these hashes, and so would not run even if escaping failed; nor would an `onerror`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from engine.errors import PassError
from render.escape import html

_HEAD = "<!doctype html>\n<html>\n  <head>\n"
_LINK = re.compile(r"<link\b[^>]*?\bhref=\"https?://[^>]*>\s*", re.DOTALL)
_SCRIPT = re.compile(r"<script(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.DOTALL)


def finish(
    page: str,
    *,
    title: str,
    description: str,
    preview: str | None = None,
    embedded: Iterable[str] = (),
    origins: Sequence[str] = (),
) -> str:
    """Make DataMapPlot's page self-contained.

    `title`, `description` and `preview`, the address of a picture, are what sites show for a link to the page;
    `embedded` are base64 contents of scripts that the page puts into script elements while it loads;
    `origins` are hosts that scripts may come from (only where the libraries could not be carried).

    Raises:
        PassError: the page does not begin as DataMapPlot's pages do.
    """
    if not page.startswith(_HEAD):
        raise PassError(
            "The map page does not look as DataMapPlot 0.7.3 draws it.",
            hint="Install hfmap again, so that it gets the version of datamapplot it is made for.",
        )
    head, split, rest = page.partition("</head>")
    page = _LINK.sub("", head) + split + rest
    hashes = [_hash(match["text"].encode()) for match in _SCRIPT.finditer(page) if not _external(match)]
    hashes += [_hash(base64.b64decode(content)) for content in embedded]
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "  <head>",
        f'    <meta http-equiv="Content-Security-Policy" content="{html(policy(hashes, origins))}" />',
        '    <meta name="viewport" content="width=device-width, initial-scale=1" />',
        '    <meta name="referrer" content="no-referrer" />',
        f'    <meta name="description" content="{html(description)}" />',
        f'    <meta property="og:title" content="{html(title)}" />',
        f'    <meta property="og:description" content="{html(description)}" />',
        '    <meta property="og:type" content="website" />',
    ]
    if preview:
        lines += [
            f'    <meta property="og:image" content="{html(preview)}" />',
            '    <meta name="twitter:card" content="summary_large_image" />',
        ]
    return "\n".join(lines) + "\n" + page[len(_HEAD) :]


def policy(hashes: Iterable[str] = (), origins: Iterable[str] = (), *, chunks: bool = True) -> str:
    """Write a content-security policy. `chunks`: scripts that lie beside the page may be loaded."""
    scripts = [f"'{item}'" for item in dict.fromkeys(hashes)] + list(origins)
    if chunks:
        # A page opened from the disk has no origin that 'self' could match.
        scripts += ["'self'", "file:"]
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(scripts) or chr(39) + 'none' + chr(39)}",
            "worker-src blob:",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "font-src data:",
            "connect-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def origin(url: str) -> str:
    """Return scheme and host of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _hash(script: bytes) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")


def _external(match: re.Match[str]) -> bool:
    return "src=" in match["attributes"]
