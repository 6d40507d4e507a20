"""A changed specification makes stale exactly what depends on it; the old results stay and cost nothing to return to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine.calls.caller import Caller
from engine.events import Bus
from engine.hub.client import HubClient
from engine.pipeline.sync import Plan, Sync
from engine.providers import PROVIDERS
from engine.providers.anthropic import AnthropicCompleter
from engine.providers.cohere import CohereEmbedder
from engine.sources.hub import HubSource
from engine.store.connection import open_passes, prepare
from engine.store.results import put_in_force
from engine.store.runs import Ids, start_run
from taxonomy.model import Field, Slug, Taxonomy, load
from taxonomy.prompt import summary_system
from tests.conftest import Run
from tests.services import Services, generated_cards

pytestmark = pytest.mark.anyio
EXTRACTION_MODEL = PROVIDERS["anthropic"].extraction_model

Rows = Callable[..., list[tuple[Any, ...]]]


async def run(services: Services, db: Path, **changes: Any) -> None:
    """One sync of 20 datasets in this process, with a plan that differs by `changes`."""
    prepare(db)
    env = services.env
    completer = AnthropicCompleter(
        env["ANTHROPIC_API_KEY"], base_url=env["ANTHROPIC_BASE_URL"], model=EXTRACTION_MODEL, connections=12
    )
    embedder = CohereEmbedder(env["CO_API_KEY"], base_url=env["CO_API_URL"])
    hub = HubClient(env["HF_ENDPOINT"], None, connections=8)
    caller = Caller("The Hub", at_once=anyio.CapacityLimiter(1), bus=Bus(), stage="list")
    with open_passes(db) as conn:
        run_id = start_run(conn, "sync", "hub", {})
        plan = Plan(
            db=db,
            run_id=run_id,
            source=HubSource(hub, "likes", caller),
            fetcher=hub,
            target=20,
            overshoot=20,
            refresh=False,
            embedder=embedder,
            completer=completer,
            taxonomy=load(),
            budget=None,
        )
        sync = Sync(replace(plan, **changes), Bus())
        spec_ids = {spec.stage: put_in_force(conn, spec) for spec in sync.specs()}
        ids = Ids.after(conn)
    await sync.run(ids, spec_ids)
    for closing in (completer, embedder, hub):
        await closing.aclose()
    with open_passes(db) as conn:
        conn.execute("UPDATE run SET outcome = 'done'")


def calls(services: Services) -> dict[str, int]:
    found = {kind: services.count(kind) for kind in ("card", "extract", "summarize")}
    # Texts, since how many of them share a call is a matter of time.
    found["embed"] = services.keys("embed").total()
    services.reset_log()
    return found


NONE = {"card": 0, "embed": 0, "extract": 0, "summarize": 0}


async def test_a_new_summary_prompt_summarizes_anew_and_going_back_is_free(tmp_path: Path, rows: Rows) -> None:
    db = tmp_path / "hfmap.sqlite"
    with Services(generated_cards(20, seed=21)) as services:
        services.anthropic.answer = None
        await run(services, db)
        assert calls(services) == {"card": 20, "embed": 20, "extract": 20, "summarize": 20}
        first = rows("SELECT repo_id, summary FROM datasets ORDER BY repo_id")

        await run(services, db, summary_prompt=summary_system() + "\nPrefer numbers to adjectives.")
        assert calls(services) == NONE | {"summarize": 20}
        assert rows("SELECT count(*) FROM summary") == [(40,)]

        await run(services, db)
        assert calls(services) == NONE
        assert rows("SELECT repo_id, summary FROM datasets ORDER BY repo_id") == first
        assert rows("SELECT repo_id, summary FROM card ORDER BY repo_id") == first


async def test_a_new_taxonomy_extracts_anew_and_nothing_else(tmp_path: Path, rows: Rows) -> None:
    db = tmp_path / "hfmap.sqlite"
    small = Taxonomy(
        "small",
        (
            Field(
                "colour",
                "Colour",
                "one",
                "Which.",
                (),
                (Slug("red", "Red."), Slug("not_stated", "Silent.")),
                "not_stated",
            ),
        ),
    )
    with Services(generated_cards(20, seed=22)) as services:
        await run(services, db)
        calls(services)
        await run(services, db, taxonomy=small)
        assert calls(services) == NONE | {"extract": 20}
        assert {row[0] for row in rows("SELECT DISTINCT field FROM quotes")} == {"colour"}
        await run(services, db)
        assert calls(services) == NONE
        assert "subject_domain" in {row[0] for row in rows("SELECT DISTINCT field FROM quotes")}


async def test_another_model_or_provider_and_back(tmp_path: Path, run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(20, seed=23)) as services:
        env = services.env | {"HFMAP_TARGET": "20"}
        run_hfmap("sync", "--no-map", env=env)
        calls(services)
        run_hfmap("sync", "--no-map", "--model", "claude-haiku-5-5", env=env)
        assert calls(services) == NONE | {"extract": 20, "summarize": 20}
        run_hfmap("sync", "--no-map", "--embedder", "local", "--llm", "local", env=env)
        assert calls(services) == NONE
        assert rows("SELECT DISTINCT provider FROM in_force") == [("local",)]
        run_hfmap("sync", "--no-map", env=env)
        assert calls(services) == NONE
        assert rows("SELECT DISTINCT model FROM in_force WHERE stage <> 'embed'") == [(EXTRACTION_MODEL,)]
        assert rows("SELECT DISTINCT model FROM in_force WHERE stage = 'embed'") == [("embed-v4.0",)]
