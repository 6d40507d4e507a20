"""Keys and the addresses that they are for: from the environment, and never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import KeyRefusedError, UsageError
from engine.text import is_address


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs of the three services, without a trailing slash."""

    hub: str = "https://huggingface.co"
    cohere: str = "https://api.cohere.com"
    anthropic: str = "https://api.anthropic.com"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The keys that are set, and the services they are for. Neither `repr` nor `str` shows a key."""

    cohere: str | None = None
    anthropic: str | None = None
    hub: str | None = None
    openai: str | None = None
    endpoints: Endpoints = Endpoints()

    def __repr__(self) -> str:
        names = ("cohere", "anthropic", "hub", "openai")
        marks = (f"{name}={'set' if getattr(self, name) else 'not set'}" for name in names)
        return f"Secrets({', '.join(marks)}, endpoints={self.endpoints!r})"

    def redact(self, text: str) -> str:
        """`text` with every key in it replaced by "***"."""
        for key in (self.cohere, self.anthropic, self.hub, self.openai):
            # A "key" of a few letters would blank out ordinary words.
            if key and len(key) >= 6 and key in text:
                text = text.replace(key, "***")
        return text


_KEYS = {"cohere": "CO_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "hub": "HF_TOKEN", "openai": "OPENAI_API_KEY"}


def load_secrets(environ: Mapping[str, str] = os.environ) -> Secrets:
    """Keys and base URLs from the environment.

    Raises:
        KeyRefusedError: a key holds characters that cannot stand in an HTTP header.
        UsageError: a base URL is not an http(s) address.
    """
    keys = {}
    for name, variable in _KEYS.items():
        key = environ.get(variable, "").strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise KeyRefusedError(
                f"{variable} holds characters that no key has.",
                hint=f"set {variable} anew, without quotes or line breaks.",
            )
        keys[name] = key or None
    standard = Endpoints()
    endpoints = Endpoints(
        hub=_base_url(environ, "HF_ENDPOINT", standard.hub),
        cohere=_base_url(environ, "CO_API_URL", standard.cohere),
        anthropic=_base_url(environ, "ANTHROPIC_BASE_URL", standard.anthropic),
    )
    return Secrets(**keys, endpoints=endpoints)


def _base_url(environ: Mapping[str, str], variable: str, default: str) -> str:
    text = environ.get(variable, "").strip() or default
    if not is_address(text):
        # The value is not repeated: an address may carry a password.
        raise UsageError(
            f"{variable} is not an address that starts with http:// or https://.", hint=f"unset {variable}"
        )
    return text.rstrip("/")
