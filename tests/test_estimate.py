"""`hfmap sync --dry-run` and the question before a dear run: what they count, and that they only look."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from render.topics import topics
from taxonomy import prompt
from taxonomy.model import load
from tests.conftest import Run, clean_environment, hfmap_command
from tests.services import Services, generated_cards

Rows = Callable[..., list[tuple[Any, ...]]]

PAID = ("embed", "extract", "summarize", "topic")
# Tokens as the estimate and the doubles count them: a quarter of the characters.
EXTRACT_SYSTEM = len(prompt.extraction_system(load())) // 4
SUMMARY_SYSTEM = len(prompt.summary_system()) // 4


def dry(run_hfmap: Run, env: dict[str, str], *arguments: object) -> dict[str, Any]:
    done = run_hfmap("sync", "--dry-run", "--json", "--no-map", *arguments, env=env)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def stages(found: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return {s["stage"]: (s["fresh"], s["due"], s["unread"]) for s in found["stages"]}


def usage(found: dict[str, Any], stage: str) -> dict[str, int]:
    return next(s["usage"] for s in found["stages"] if s["stage"] == stage)


def files(folder: Path) -> dict[str, bytes]:
    """The files of a folder, but for the empty ones that SQLite keeps beside a database in WAL mode."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.endswith(("-shm", "-wal"))}


def test_without_a_database_everything_is_bounded_from_above(run_hfmap: Run, tmp_path: Path) -> None:
    cards = generated_cards(70, seed=6, short=0.1, missing=0.1, private=0.05)
    with Services(cards, page_size=20) as services:
        found = dry(run_hfmap, services.env | {"HFMAP_TARGET": "40", "HFMAP_OVERSHOOT": "70"})
        assert {(r.service, r.kind) for r in services.requests} == {("hub", "list")}, services.requests
    assert files(tmp_path) == {}
    assert stages(found) == dict.fromkeys(("embed", "extract", "summarize"), (0, 0, 40))
    assert (found["on_map"], found["cards"]["ask"], found["cards"]["new"]) == (40, 40, 40)

    # By hand: 40 cards of the usual length; the long system prompt is written to the cache once and read 39 times,
    # the short one is below Haiku 4.5's minimum and paid for each time.
    extract = 40 * 1340 * 1 + EXTRACT_SYSTEM * 1.25 + 39 * EXTRACT_SYSTEM * 0.1 + 40 * 400 * 5
    summarize = 40 * (990 + SUMMARY_SYSTEM) * 1 + 40 * 50 * 5
    embed = 40 * 970 * 0.12
    assert found["usd"] == pytest.approx((extract + summarize + embed) / 1e6, rel=1e-4)
    assert found["usd_due"] == 0
    # Haiku 5.5 costs a tenth, caches prompts from 512 tokens, and thinks (500 tokens).
    cached = EXTRACT_SYSTEM * 0.125 + 39 * EXTRACT_SYSTEM * 0.01
    short = SUMMARY_SYSTEM * 0.125 + 39 * SUMMARY_SYSTEM * 0.01 if SUMMARY_SYSTEM >= 512 else 4.0 * SUMMARY_SYSTEM
    cheaper = 40 * (1340 + 990) * 0.1 + 40 * (900 + 550) * 0.5 + cached + short
    assert found["cheaper"]["model"] == "claude-haiku-5-5"
    assert found["cheaper"]["usd"] == pytest.approx((cheaper + embed) / 1e6, rel=1e-4)
    assert found["prices_as_of"] == "2026-11-01"


def test_with_a_database_it_knows_what_is_due(run_hfmap: Run, rows: Rows, tmp_path: Path) -> None:
    with Services(generated_cards(45, seed=7, missing=0.05)) as services:
        env = services.env | {"HFMAP_TARGET": "40"}
        run_hfmap("sync", "--no-map", env=env)
        before = files(tmp_path)
        services.reset_log()

        found = dry(run_hfmap, env)
        assert stages(found) == dict.fromkeys(("embed", "extract", "summarize"), (40, 0, 0))
        assert (found["usd"], found["cards"]["ask"]) == (0, 0)

        # Another model makes exactly its own stages due, and the cards are at hand.
        found = dry(run_hfmap, env, "--model", "claude-haiku-5-5")
        assert stages(found) == {"embed": (40, 0, 0), "extract": (0, 40, 0), "summarize": (0, 40, 0)}
        assert found["usd"] == found["usd_due"] > 0
        assert found["cheaper"] is None
        foreseen = usage(found, "extract")
        assert services.count(*PAID, "card") == 0
        assert files(tmp_path) == before

        run_hfmap("sync", "--no-map", "--model", "claude-haiku-5-5", env=env)
        took = rows(
            "SELECT sum(input_tokens), sum(cache_write_tokens + cache_read_tokens) FROM call"
            " WHERE stage = 'extract' AND model = 'claude-haiku-5-5'"
        )[0]
        assert foreseen["input"] == pytest.approx(took[0], rel=0.02)
        assert foreseen["cache_write"] + foreseen["cache_read"] == pytest.approx(took[1], rel=0.001)
        # Going back costs nothing.
        assert dry(run_hfmap, env)["usd"] == 0


def test_unread_cards_cost_what_cards_have_cost(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(42, seed=8)) as services:
        env = services.env | {"HFMAP_TARGET": "40", "HFMAP_OVERSHOOT": "42"}
        run_hfmap("sync", "--no-map", env=env)
        names = list(services.hub.datasets)
        services.hub.touch(names[0])
        services.hub.update(names[1], card="---\nlicense: mit\n---\n" + "Quite another text about birds. " * 30)
        services.hub.rename(names[2], "elsewhere/renamed")
        services.reset_log()
        found = dry(run_hfmap, env)
        assert stages(found) == dict.fromkeys(("embed", "extract", "summarize"), (38, 0, 2))
        assert (found["cards"]["ask"], found["cards"]["new"], found["cards"]["unchanged"]) == (2, 0, 38)
        spent: dict[str, float] = dict(rows("SELECT stage, sum(usd) FROM spending GROUP BY stage"))
        for stage in found["stages"]:
            assert stage["usd"] == pytest.approx(2 / 40 * spent[stage["stage"]], rel=0.01)
            assert stage["usd_due"] == 0
        assert dry(run_hfmap, env, "--refresh")["cards"]["ask"] == 40
        assert services.count(*PAID, "card") == 0


def test_failures_that_were_given_up_are_due_when_they_are_asked_for(
    run_hfmap: Run, rows: Rows, tmp_path: Path
) -> None:
    with Services(generated_cards(6, seed=9)) as services:
        run_hfmap("sync", "--no-map", env=services.env)
        with closing(sqlite3.connect(tmp_path / "hfmap.sqlite", isolation_level=None)) as conn:
            conn.execute("PRAGMA foreign_keys = ON")
            for dataset_id, kind, runs in ((1, "transient", 3), (2, "transient", 2), (3, "permanent", 1)):
                spec_id, input_hash = conn.execute(
                    "SELECT r.spec_id, r.input_hash FROM in_force r WHERE dataset_id = ? AND stage = 'extract'",
                    (dataset_id,),
                ).fetchone()
                conn.execute("DELETE FROM result WHERE spec_id = ? AND input_hash = ?", (spec_id, input_hash))
                conn.execute(
                    "INSERT INTO failure VALUES (?, 'extract', ?, ?, ?, 'no', 8, ?, 1, 'now')",
                    (dataset_id, spec_id, input_hash, kind, runs),
                )
        assert stages(dry(run_hfmap, services.env))["extract"] == (3, 1, 0)
        assert len(rows("SELECT * FROM todo WHERE stage = 'extract'")) == 1
        assert stages(dry(run_hfmap, services.env, "--retry-failed"))["extract"] == (3, 2, 0)


def test_cards_of_a_file_are_known_at_once(run_hfmap: Run, tmp_path: Path) -> None:
    source = tmp_path / "cards.jsonl"
    texts = [f"Recordings of bird {number}, described at some length. " * 10 for number in range(5)]

    def write(*cards: str) -> None:
        source.write_text("".join(json.dumps({"id": f"a/{n}", "card": card}) + "\n" for n, card in enumerate(cards)))

    write(*texts, texts[0], "Too short.")
    with Services() as services:
        env = services.env | {"HFMAP_SOURCE": str(source)}
        found = dry(run_hfmap, env)
        # Two datasets with the same card are enriched once.
        assert (found["on_map"], found["cards"]["ask"], found["cards"]["new"]) == (6, 0, 7)
        assert stages(found)["extract"] == (0, 5, 0)
        sent = sum(len(prompt.card_message(text.strip())) // 4 for text in texts)
        assert usage(found, "extract")["input"] == sent
        assert usage(found, "embed")["input"] == sum(len(text.strip()) // 4 for text in texts)
        assert services.count() == 0
        run_hfmap("sync", "--no-map", env=env)
        write(*texts[:4], "Other words. " * 30, texts[0], "Too short.")
        assert stages(dry(run_hfmap, env)) == dict.fromkeys(("embed", "extract", "summarize"), (4, 1, 0))


def test_topics_are_part_of_it(draw_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(160, seed=4)) as services:
        env = services.env | {"HFMAP_TARGET": "160", "HFMAP_OVERSHOOT": "160"}
        found = json.loads(draw_hfmap("sync", "--dry-run", "--json", env=env).stdout)
        assert (found["stages"][3]["stage"], found["stages"][3]["calls"]) == ("topics", topics.expected(160, 400))
        assert found["stages"][3]["model"] == "claude-sonnet-5-5"
        draw_hfmap("sync", env=env)
        found = json.loads(draw_hfmap("sync", "--dry-run", "--json", env=env).stdout)
        assert (found["stages"][3]["calls"], found["usd"]) == (0, 0)
        # One changed card moves no topic.
        services.hub.update(next(iter(services.hub.datasets)), card="Quite another text about birds. " * 30)
        found = json.loads(draw_hfmap("sync", "--dry-run", "--json", env=env).stdout)
        assert (found["stages"][3]["calls"], found["stages"][1]["unread"]) == (0, 1)


def test_in_words_and_without_keys(run_hfmap: Run, tmp_path: Path) -> None:
    with Services(generated_cards(30)) as services:
        done = run_hfmap("sync", "--dry-run", "--budget", "0.01", env=services.env | {"HFMAP_TARGET": "30"})
        for words in ("30 to ask for", "claude-haiku-4-5", "perhaps: only if", "list prices of 2026-11-01", "budget"):
            assert words in done.stdout
        for secret in services.secrets:
            assert secret not in done.stdout + done.stderr
        free = {name: value for name, value in services.env.items() if not name.endswith("_KEY")}
        done = run_hfmap("sync", "--dry-run", env=free)
        assert "cost: nothing" in done.stdout
        run_hfmap("sync", "--dry-run", "--llm", "anthropic", env=free, code=5)
    assert files(tmp_path) == {}


def ask(services: Services, folder: Path, answer: bytes | None, *arguments: str) -> tuple[int, str]:
    """Run a dear sync on a terminal and answer its question; the exit code, and what the terminal showed."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        hfmap_command("sync", "--no-map", "--model", "claude-sonnet-5-5", *arguments),
        cwd=folder,
        env=clean_environment(**services.env, HFMAP_TARGET="80", TERM="dumb"),
        stdin=follower,
        stdout=subprocess.DEVNULL,
        stderr=follower,
    )
    os.close(follower)
    shown, asked = b"", False
    try:
        while part := os.read(leader, 65536):
            shown += part
            if not asked and b"[y/N] " in shown:
                asked = True
                assert services.count(*PAID, "card") == 0
                assert answer is not None
                os.write(leader, answer)
    except OSError:
        pass  # the child has gone: Linux reports it as an input/output error
    finally:
        os.close(leader)
    return child.wait(timeout=120), shown.decode()


@pytest.mark.parametrize("answer", [b"n\n", b"\n"])
def test_a_dear_run_can_be_declined_on_a_terminal(tmp_path: Path, answer: bytes) -> None:
    with Services(generated_cards(80)) as services:
        code, shown = ask(services, tmp_path, answer)
        assert code == 0
        assert "up to $1." in shown
        assert "It may be less" in shown
        assert "Nothing was done" in shown
        assert services.count(*PAID, "card") == 0
    assert files(tmp_path) == {}


def test_a_dear_run_goes_on_after_yes(tmp_path: Path, rows: Rows) -> None:
    with Services(generated_cards(80)) as services:
        code, shown = ask(services, tmp_path, b"y\n")
        assert (code, services.count("extract")) == (0, 80), shown
    assert rows("SELECT count(*) FROM todo") == [(0,)]


@pytest.mark.parametrize("arguments", [("--yes",), ("--budget", "0.90"), ("--llm", "local", "--embedder", "local")])
def test_nobody_is_asked_where_it_is_allowed_cheap_or_free(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with Services(generated_cards(80)) as services:
        code, shown = ask(services, tmp_path, None, *arguments)
        assert code in (0, 4), shown
        assert services.count("card") == 80


def test_without_a_terminal_nobody_is_asked(run_hfmap: Run) -> None:
    with Services(generated_cards(80)) as services:
        env = services.env | {"HFMAP_TARGET": "80", "HFMAP_MODEL": "claude-sonnet-5-5"}
        done = run_hfmap("sync", "--no-map", env=env)
        assert services.count("extract") == 80
        assert "[y/N]" not in done.stderr
