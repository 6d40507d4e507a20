"""Run hfmap from Python: `sync`, `draw` and `foresee`, with typed settings and results.

from pathlib import Path
from engine.config import Settings
from engine.run import sync

result = sync(Settings(source="sample", db=Path("map.sqlite"), out=Path("site")))
print(result.outcome, result.page)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.run.runs import RunResult, draw, sync

if TYPE_CHECKING:
    from engine.run.foresight import foresee

__all__ = ["RunResult", "draw", "foresee", "sync"]


def __getattr__(name: str) -> Any:
    # A run needs nothing of what foresees it.
    if name == "foresee":
        from engine.run.foresight import foresee

        return foresee
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
