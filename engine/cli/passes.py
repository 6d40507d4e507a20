"""The synchronous passes, one after the other: layout, topics, page."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

from engine.cli.choose import completer, naming_model
from engine.config import Secrets, Settings
from engine.events import Bus, Event, StageGrew
from engine.pipeline.naming import Naming
from engine.store.connection import open_passes
from engine.store.taxonomies import taxonomy_in_force
from engine.store.views import ensure_views

PRELOAD_FROM = 100
"""Cards to embed from which on the map is sure to need its libraries. A refresh of fewer may do without them."""


class Preload:
    """Imports the passes' libraries while a sync still downloads, so that their import costs no waiting."""

    def __init__(self) -> None:
        self._due = 0

    def __call__(self, event: Event) -> None:
        """Count cards to embed; a subscriber of the run's events."""
        if isinstance(event, StageGrew) and event.stage == "embed":
            self._due += event.added
            if self._due == PRELOAD_FROM:
                threading.Thread(target=self._import, daemon=True).start()

    @staticmethod
    def _import() -> None:
        from render import heavy

        # What fails to import here fails again where it is needed, and is reported there.
        with suppress(Exception):
            heavy.preload(*heavy.LAYOUT, *heavy.TOPICS)


def run_passes(settings: Settings, secrets: Secrets, run_id: int, bus: Bus, spent: float) -> tuple[Path, float]:
    """Lay out, name topics and draw the page; what has not changed is skipped.

    Args:
        spent: what the run has spent so far, in US dollars.

    Returns:
        The page's path, and what naming the topics cost.

    Raises:
        HfmapError: a pass failed; the results of the ones before it are stored.
    """
    from engine.providers.local import LocalEmbedder
    from render import layout, page, topics

    model = naming_model(settings, secrets)
    naming = None
    if model is not None:
        connect = partial(completer, settings, secrets, model)
        naming = Naming(model, connect, settings.db, run_id, bus, settings.budget, spent)
    with open_passes(settings.db) as conn:
        placed = layout.ensure(conn, run_id=run_id, emit=bus)
        # Key phrases are embedded here even where cards are not: there are thousands, and nobody sees their vectors.
        topics.ensure(
            conn, run_id=run_id, layout_id=placed.layout_id, namer=naming, emit=bus, text_encoder=LocalEmbedder()
        )
        # As many topic columns as the new tree has layers.
        ensure_views(conn, taxonomy_in_force(conn))
        drawn = page.ensure(conn, run_id=run_id, out=settings.out, emit=bus)
    return drawn.path, naming.usd if naming else 0.0
