"""The settings of a run and where each came from: flag > environment `HFMAP_<NAME>` > ./hfmap.toml > default.

Keys and base URLs are not settings: they come from the environment alone, so that no file holds a secret.
"""

from __future__ import annotations

from engine.config.options import OPTIONS, load_settings, unknown_variables
from engine.config.secrets import Endpoints, Secrets, load_secrets
from engine.config.settings import SETTING_NAMES, Settings, split_provider

__all__ = [
    "OPTIONS",
    "SETTING_NAMES",
    "Endpoints",
    "Secrets",
    "Settings",
    "load_secrets",
    "load_settings",
    "split_provider",
    "unknown_variables",
]
