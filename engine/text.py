"""Text from outside."""

from __future__ import annotations


def sound(text: str) -> str:
    """Return a text without halves of characters (lone surrogates).

    JSON, YAML and the names of files can carry them, and they can neither be stored nor sent on.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
