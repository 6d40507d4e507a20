"""Everything a run takes, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

Rank = Literal["likes", "downloads", "trending_score"]
RANKS: tuple[Rank, ...] = get_args(Rank)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything `sync` and `map` take. Defaults of `target`, `overshoot`, `rank`: the published map's.

    `origins` names, for each setting, what it came from: "--target", "HFMAP_TARGET", a file, or "default".
    """

    db: Path = Path("hfmap.sqlite")
    out: Path = Path("site")
    source: str = "hub"
    target: int = 5000
    overshoot: int = 6000
    rank: Rank = "likes"
    embedder: str = "auto"
    llm: str = "auto"
    model: str | None = None
    taxonomy: Path | None = None
    relayout: bool | None = None
    """Lay the whole map out again: always, never, or (None) once a fifth of it has changed."""
    max_topics: int = 400
    """The most topics, and so the most naming calls: what a map of 20,000 datasets has by itself."""
    embed_model: str | None = None
    png: Path | None = None
    """Where the map also goes as a picture; its dark variant goes beside it."""
    batch: bool = False
    refresh: bool = False
    retry_failed: bool = False
    no_map: bool = False
    dry_run: bool = False
    budget: float | None = None
    timeout: float | None = None
    """Seconds for one request to any service, to its last byte; None: each service has its own."""
    yes: bool = False
    json: bool = False
    quiet: bool = False
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False, repr=False)

    def origin(self, name: str) -> str:
        """Where the setting `name` came from."""
        return self.origins.get(name, "default")

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON values, for the run ledger and `doctor`."""
        values = {name: getattr(self, name) for name in SETTING_NAMES}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


SETTING_NAMES = tuple(f.name for f in fields(Settings) if f.name != "origins")
