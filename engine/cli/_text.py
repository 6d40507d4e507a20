"""Text on its way to a terminal or a file: control characters, widths, JSON."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

# C0, DEL, C1, and the characters that hide or reorder text (zero-width, bidirectional, line separators).
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_ESCAPES = {"\n": "⏎", "\r": "", "\t": " "}


def plain(text: str) -> str:
    """`text` on one line that no terminal obeys: control and reordering characters become visible."""
    return _UNSAFE.sub(lambda m: _ESCAPES.get(m[0], _visible(m[0])), text)


def _visible(char: str) -> str:
    code = ord(char)
    # Unicode has pictures of the C0 controls, at U+2400.
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"


def fit(text: str, width: int) -> str:
    """`text` cut or padded to `width` terminal cells; a cut shows as "…"."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) > width:
        text = set_cell_size(text, width - 1).rstrip() + "…"
    return set_cell_size(text, width)


def cells(text: str) -> int:
    """How many terminal cells `text` takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON that any parser reads and no terminal obeys.

    Bytes become `{"$base64": true, "encoded": …}`, as sqlite-utils writes them; infinities become null.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, indent=indent, default=_bytes, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, indent=indent, default=_bytes)
    # json.dumps escapes C0 itself; inside JSON text the rest can only stand within strings.
    return _UNSAFE.sub(lambda m: m[0] if m[0] == "\n" else f"\\u{ord(m[0]):04x}", text)


def _bytes(value: object) -> object:
    if isinstance(value, bytes):
        return {"$base64": True, "encoded": base64.b64encode(value).decode()}
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def size(count: int) -> str:
    """Bytes for people: "41.3 MB"."""
    amount, unit = float(count), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, bigger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def dollars(usd: float) -> str:
    """Money for people; small sums keep the digits that matter."""
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.4f}"


def duration(seconds: float) -> str:
    """Seconds for people: "0.8 s", "3:07", "1:02:09"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
