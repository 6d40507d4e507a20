"""What the keyless results depend on besides the card: the rules' code and data, named by a digest."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

RULES = "hfmap-rules"
"""The name that results of the rules carry where others carry a model's."""


# What no keyless result depends on.
_NOT_RULES = {"prompt.py", "canonical.py", "corrections.py", "examples.json", "taxonomy.json"}


@lru_cache(maxsize=1)
def rules_digest() -> str:
    """SHA-256 (hex) over this package's modules and data: a changed rule makes stale what it gave."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.iterdir()):
        if file.suffix in {".py", ".json", ".npz"} and file.name not in _NOT_RULES:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=8)
def module_digest(name: str) -> str:
    """SHA-256 (hex, the first 16 digits) of one of this package's modules, for what depends on its code."""
    return hashlib.sha256(Path(__file__).with_name(name).read_bytes()).hexdigest()[:16]
