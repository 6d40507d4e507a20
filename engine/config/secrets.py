"""Keys and the addresses that they are for: from the environment, and never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.errors import KeyRefusedError, UsageError
from engine.text import is_address

HUB_KEY, HUB_ADDRESS = "HF_TOKEN", "HF_ENDPOINT"
HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The keys that are set and the addresses that differ from the usual ones, by variable of the environment.

    Addresses have no trailing slash. Neither `repr` nor `str` shows a key.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        marks = ", ".join(f"{variable}=set" for variable, key in self.keys.items() if key)
        return f"Secrets({marks or 'no key'}, addresses={dict(self.addresses)!r})"

    def key(self, variable: str) -> str | None:
        """Return a key; None where it is not set."""
        return self.keys.get(variable) or None

    def address(self, variable: str, usual: str) -> str:
        """Return an address; `usual` where the environment names no other."""
        return self.addresses.get(variable, usual)

    @property
    def hub(self) -> str | None:
        """The Hub's token."""
        return self.key(HUB_KEY)

    @property
    def hub_address(self) -> str:
        """Where the Hub is."""
        return self.address(HUB_ADDRESS, HUB)

    def redact(self, text: str) -> str:
        """`text` with every key in it replaced by "***"."""
        for key in self.keys.values():
            # A "key" of a few letters would blank out ordinary words.
            if len(key) >= 6 and key in text:
                text = text.replace(key, "***")
        return text


def read_secrets(environ: Mapping[str, str], *, keys: Sequence[str], addresses: Sequence[str]) -> Secrets:
    """Keys and base URLs from the environment: those of the variables named, and the Hub's.

    Raises:
        KeyRefusedError: a key holds characters that cannot stand in an HTTP header.
        UsageError: a base URL is not an http(s) address.
    """
    found = {variable: _key(environ, variable) for variable in (*keys, HUB_KEY)}
    places = {variable: _base_url(environ, variable) for variable in (HUB_ADDRESS, *addresses)}
    return Secrets({v: key for v, key in found.items() if key}, {v: url for v, url in places.items() if url})


def _key(environ: Mapping[str, str], variable: str) -> str:
    key = environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise KeyRefusedError(
            f"{variable} holds characters that no key has.",
            hint=f"set {variable} anew, without quotes or line breaks.",
        )
    return key


def _base_url(environ: Mapping[str, str], variable: str) -> str:
    text = environ.get(variable, "").strip()
    if text and not is_address(text):
        # The value is not repeated: an address may carry a password.
        raise UsageError(
            f"{variable} is not an address that starts with http:// or https://.", hint=f"unset {variable}"
        )
    return text.rstrip("/")
