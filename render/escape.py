"""Escape untrusted text on its way into a page.

Cards, names, tags, licences, topic names and what models answered are written by strangers. Everything of
theirs passes `plain` on its way out of the database (it bounds the length and removes what cannot be seen),
and then exactly one of: `html` (into an HTML text or a quoted attribute), `script_json` (into a script
element). In the browser the page's own modules set text by `textContent` alone. Nothing else may carry such text
into a page.
"""

from __future__ import annotations

import html as _html
import json
import re
from typing import Any

from markupsafe import Markup

LIMIT = 600
"""Characters of a text shown on the map page. The longest real summaries have about 250."""

# Control characters but tab and line ends; bidirectional embeddings, overrides and isolates, which could make
# a name read differently from what it is; invisible format characters; lone surrogates; noncharacters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_SPACE = re.compile(r"\s+")


def plain(text: object, limit: int = LIMIT) -> str:
    """Make one line of visible text of at most `limit` characters; None gives an empty string.

    Markup is left as it is: whoever shows the text has to show it as text.
    """
    if text is None:
        return ""
    # Cut before the substitutions too: a hostile text may be megabytes long.
    line = _SPACE.sub(" ", _UNSEEN.sub("", str(text)[: 4 * limit])).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def lines(text: object, limit: int) -> str:
    """Make visible text as `plain` does, but keep line ends (at most two in a row): for excerpts of cards."""
    if text is None:
        return ""
    kept = _UNSEEN.sub("", str(text)[: 4 * limit].replace("\r\n", "\n").replace("\r", "\n"))
    kept = re.sub(r"\n\s*\n\s*", "\n\n", kept).strip()
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def html(text: object) -> Markup:
    """Escape text as HTML, fit for element content and for attributes in either kind of quotes.

    Braces and backquotes are escaped as well, so that the result stays text inside a template literal and
    inside a template of DataMapPlot's.
    """
    if isinstance(text, Markup):
        return text
    escaped = _html.escape(str(text), quote=True)
    for character in "`{}$":
        escaped = escaped.replace(character, f"&#{ord(character)};")
    return Markup(escaped)  # noqa: S704 - this is the function that makes it safe


def script_json(value: Any) -> str:
    """Write JSON as a JavaScript expression inside a script element: pure ASCII, without `<`, `>` and `&`.

    Raises:
        ValueError: a number is not finite; JSON has no such thing.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
