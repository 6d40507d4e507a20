"""The synchronous passes, one after the other: layout, topics, page."""

from __future__ import annotations

from pathlib import Path

from anyio.from_thread import start_blocking_portal

from engine.config import Secrets, Settings
from engine.events import Bus
from engine.pipeline.naming import Naming
from engine.store.connection import open_passes


def run_passes(settings: Settings, secrets: Secrets, run_id: int, bus: Bus, spent: float) -> tuple[Path, float]:
    """Lay out, name topics and draw the page; what has not changed is skipped.

    Args:
        spent: what the run has spent so far, in US dollars.

    Returns:
        The page's path, and what naming the topics cost.

    Raises:
        HfmapError: a pass failed; the results of the ones before it are stored.
    """
    from engine.cli.choose import providers  # noqa: PLC0415
    from render import layout, page, topics  # noqa: PLC0415

    with open_passes(settings.db) as conn, start_blocking_portal() as portal:
        chosen = portal.wrap_async_context_manager(providers(settings, secrets))
        with chosen as kit:
            naming = None
            if kit.namer is not None:
                naming = Naming(kit.namer, portal, settings.db, run_id, bus, settings.budget, spent)
            placed = layout.ensure(conn, run_id=run_id, emit=bus)
            topics.ensure(
                conn, run_id=run_id, layout_id=placed.layout_id, namer=naming, emit=bus, text_encoder=kit.embedder
            )
            drawn = page.ensure(conn, run_id=run_id, out=settings.out, emit=bus)
    return drawn.path, naming.usd if naming else 0.0
