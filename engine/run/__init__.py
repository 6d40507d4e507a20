"""Run hfmap from Python: `sync`, `draw` and `foresee`, with typed settings and results.

from pathlib import Path
from engine.config import Settings
from engine.run import sync

result = sync(Settings(source="sample", db=Path("map.sqlite"), out=Path("site")))
print(result.outcome, result.page)
"""

from __future__ import annotations

from engine.run.foresight import foresee
from engine.run.runs import RunResult, draw, sync

__all__ = ["RunResult", "draw", "foresee", "sync"]
