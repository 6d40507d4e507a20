"""The settings of a run and where each came from: flag > environment `HFMAP_<NAME>` > ./hfmap.toml > default.

Keys and base URLs are not settings: they come from the environment alone, so that no file holds a secret. Which keys there
are, and which names of providers a setting may have, `engine.providers` knows.
"""

from __future__ import annotations

from engine.config.options import load_settings, unknown_variables
from engine.config.secrets import Secrets, read_secrets
from engine.config.settings import SETTING_NAMES, Settings

__all__ = [
    "SETTING_NAMES",
    "Secrets",
    "Settings",
    "load_settings",
    "read_secrets",
    "unknown_variables",
]
