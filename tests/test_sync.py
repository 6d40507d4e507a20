"""Whole runs of `hfmap sync` over real sockets, against doubles of the Hub, Cohere and Anthropic."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taxonomy.model import load
from tests.conftest import Run
from tests.services import DatasetState, Services, generated_cards

Rows = Callable[..., list[tuple[Any, ...]]]

SLUGS = {field.name: set(field.names) for field in load() if field.kind in ("one", "many")}


def assert_one_call_each(services: Services, on_map: set[str]) -> None:
    """Every card on the map was embedded, extracted and summarized once, and no other was."""
    assert services.count("extract") == services.count("summarize") == len(on_map)
    assert set(services.keys("extract")) == set(services.keys("summarize")) == on_map
    assert services.cohere.texts_embedded == len(on_map)


def test_a_full_run_in_the_cloud(run_hfmap: Run, rows: Rows) -> None:
    cards = generated_cards(
        220, seed=3, short=0.1, missing=0.05, gated=0.03, private=0.02, disabled=0.02, bad_yaml=0.05
    )
    with Services(cards, latency_scale=0.02) as services:
        env = services.env | {"HFMAP_TARGET": "150", "HFMAP_OVERSHOOT": "220"}
        done = run_hfmap("sync", "--no-map", env=env)
        on_map = {row[0] for row in rows("SELECT repo_id FROM datasets WHERE on_map = 1")}
        assert len(on_map) == 150
        assert_one_call_each(services, on_map)
        assert services.peak("card") <= 8
        assert services.peak("enrich") <= 12
        assert services.largest_batch <= 96
        assert services.peak("embed") == 1

        ranked = rows("SELECT repo_id, card_status FROM datasets ORDER BY rank")
        assert len(ranked) == 220
        members = [repo_id for repo_id, _ in ranked if repo_id in on_map]
        # Whoever was asked for and is not on the map has a reason; the rest was never asked for.
        asked = set(services.keys("card"))
        last = ranked.index((members[-1], "ok"))
        for place, (repo_id, status) in enumerate(ranked):
            if repo_id not in on_map:
                assert status in ({"short", "missing", "gated", "private", "disabled"} if place < last else {"pending"})
            if status in ("private", "disabled", "pending"):
                assert repo_id not in asked

        assert rows("SELECT count(*) FROM todo") == [(0,)]
        assert rows("SELECT count(*), sum(length(summary) > 0) FROM datasets WHERE on_map") == [(150, 150)]
        for value, field in rows("SELECT DISTINCT subject_domain, 'subject_domain' FROM datasets WHERE on_map"):
            assert value in SLUGS[field]
        spent = rows("SELECT stage, sum(calls), sum(usd) FROM spending GROUP BY stage ORDER BY stage")
        assert [row[0] for row in spent] == ["embed", "extract", "summarize"]
        assert all(row[2] > 0 for row in spent)
        assert rows("SELECT outcome, exit_code FROM run") == [("done", 0)]
        assert "secret" not in done.stdout + done.stderr

        services.reset_log()
        run_hfmap("sync", "--no-map", env=env)
        assert services.count("card", "redirect", "embed", "extract", "summarize") == 0
        assert rows("SELECT count(*) FROM call") == [(sum(int(row[1]) for row in spent),)]


def test_map_in_the_cloud_names_topics_with_the_model(draw_hfmap: Run, rows: Rows, tmp_path: Path) -> None:
    with Services(generated_cards(160, seed=4)) as services:
        env = services.env | {"HFMAP_TARGET": "160"}
        done = draw_hfmap("sync", env=env)
        assert services.count("topic") > 0
        assert {row[0] for row in rows("SELECT DISTINCT model FROM spending WHERE stage = 'topics'")} == {
            "claude-sonnet-5-5"
        }
        page = tmp_path / "site" / "index.html"
        assert done.stdout.strip().endswith(str(Path("site") / "index.html"))
        before = page.read_bytes(), page.stat().st_mtime_ns
        services.reset_log()
        draw_hfmap("sync", env=env)
        assert services.count("card", "redirect", "embed", "extract", "summarize", "topic") == 0
        assert (page.read_bytes(), page.stat().st_mtime_ns) == before


def test_rows_that_pages_of_the_listing_repeat(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(60), page_size=10, repeat_rows=3) as services:
        run_hfmap("sync", "--no-map", env=services.env | {"HFMAP_TARGET": "40", "HFMAP_OVERSHOOT": "60"})
        assert services.count("list") > 1
        assert max(services.keys("card").values()) == 1
        assert rows("SELECT count(*) FROM datasets WHERE on_map") == [(40,)]
        assert [row[0] for row in rows("SELECT rank FROM dataset ORDER BY rank")] == list(
            range(1, 1 + rows("SELECT count(*) FROM dataset")[0][0])
        )


HOSTILE = {
    "bad/yaml": b"---\nlicense: [mit\n---\n" + b"A card about birds. " * 20,
    "bad/types": b"---\nlanguage: no\nsize_categories: 12\nlicense: {a: b}\ntags: 7\n---\n" + b"Norwegian birds. " * 20,
    "bad/bom": b"\xef\xbb\xbf---\r\nlicense: mit\r\n---\r\n" + b"Windows line ends.\r\n" * 20,
    "bad/bytes": b"---\nlicense: mit\n---\n" + b"Caf\xe9 au lait \xff\xfe. " * 20,
    "bad/nul": b"Zero \x00 bytes. " * 30,
    "bad/blank": b"---\nlicense: mit\n---\n" + b" \n\t" * 400,
    "bad/empty": b"",
    "bad/huge": b"Many words about a large table. " * 90_000,
    "bad/script": b"<script>alert(1)</script> `code` ${x} </textarea> \xe2\x80\xae reversed. " * 20,
    "bad/front-only": b"---\nlicense: mit\n",
}


def test_cards_of_every_kind_never_stop_a_run(run_hfmap: Run, rows: Rows) -> None:
    states = [
        DatasetState(id=name, card=card, likes=1000 - place) for place, (name, card) in enumerate(HOSTILE.items())
    ]
    # The listing's JSON carries halves of characters.
    halves = {"pretty_name": "A \ud83d B", "license": "\udfff", "language": ["\ud800"]}
    listed = DatasetState("bad/halves", card=b"Birds. " * 60, tags=["license:x\ud800", "\ud800"], card_data=halves)
    with Services([*states, listed, *generated_cards(5)]) as services:
        run_hfmap("sync", "--no-map", env=services.env)
        on_map = {row[0] for row in rows("SELECT repo_id FROM datasets WHERE on_map = 1")}
        assert {"bad/blank", "bad/empty", "bad/front-only"} & on_map == set()
        assert set(HOSTILE) - {"bad/blank", "bad/empty", "bad/front-only"} <= on_map
        assert services.count("extract") == services.count("summarize") == len(on_map)
        assert services.cohere.texts_embedded == len(on_map)
    assert ("bad/halves", "A ? B") in rows("SELECT repo_id, pretty_name FROM datasets WHERE on_map")
    status: dict[str, str] = dict(rows("SELECT repo_id, front_matter FROM card"))
    assert status["bad/yaml"] == "invalid"
    assert status["bad/types"] == status["bad/bom"] == "ok"
    assert ("bad/types", "Norwegian") in rows("SELECT repo_id, language FROM datasets")
    problems: dict[str, str] = dict(rows("SELECT repo_id, problems FROM card"))
    assert "not UTF-8" in problems["bad/bytes"]
    assert "cut at 2,000,000 bytes" in problems["bad/huge"]
    assert rows("SELECT max(length(CAST(text AS BLOB))) FROM card")[0][0] <= 2_000_003


def test_failures_are_recorded_and_mended_by_the_next_run(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(30, seed=5)) as services:
        victim = next(iter(services.hub.datasets))
        services.hub.faults.next("503", 8, of="card", key=victim, retry_after=0.05)
        env = services.env | {"HFMAP_TARGET": "30"}
        run_hfmap("sync", "--no-map", env=env, code=3)
        assert rows("SELECT stage, kind, attempts FROM failure") == [("card", "transient", 8)]
        services.clear_faults()
        run_hfmap("sync", "--no-map", env=env)
        assert rows("SELECT count(*) FROM failure") == [(0,)]
        assert_one_call_each(services, {row[0] for row in rows("SELECT repo_id FROM datasets WHERE on_map = 1")})


def test_a_key_that_is_refused_ends_that_provider_and_keeps_the_rest(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(40)) as services:
        services.anthropic.faults.set(refuse_key=True)
        done = run_hfmap("sync", "--no-map", env=services.env, code=5)
        assert "ANTHROPIC_API_KEY" in done.stderr
        assert services.count("extract", "summarize") <= 12
        assert rows("SELECT count(*) FROM embedding") == [(40,)]
        assert rows("SELECT count(*) FROM failure") == [(0,)]
        services.clear_faults()
        run_hfmap("sync", "--no-map", env=services.env)
        assert rows("SELECT count(*) FROM todo") == [(0,)]
        assert services.cohere.texts_embedded == 40


def test_vectors_are_stored_as_they_were_sent(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(5)) as services:
        run_hfmap("sync", "--no-map", env=services.env)
    for dimensions, blob in rows("SELECT dimensions, vector FROM embedding"):
        assert dimensions == 512
        assert all(abs(x) <= 1.0001 for x in struct.unpack("<512f", blob))


@pytest.mark.parametrize("keys", [("CO_API_KEY",), ("ANTHROPIC_API_KEY",), ()])
def test_any_provider_can_be_missing(run_hfmap: Run, rows: Rows, keys: tuple[str, ...]) -> None:
    with Services(generated_cards(25)) as services:
        env = {k: v for k, v in services.env.items() if not k.endswith("_KEY") or k in keys}
        run_hfmap("sync", "--no-map", env=env)
        assert (services.count("embed") > 0) == ("CO_API_KEY" in keys)
        assert (services.count("extract") > 0) == ("ANTHROPIC_API_KEY" in keys)
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    assert rows("SELECT count(*) FROM datasets WHERE summary IS NOT NULL AND subject_domain IS NOT NULL") == [(25,)]
    for field, value in rows("SELECT field, value FROM quotes"):
        values = json.loads(value) if str(value).startswith("[") else [value]
        if field in SLUGS:
            assert set(values) <= SLUGS[field], field


def test_from_local_to_the_cloud_one_provider_at_a_time(run_hfmap: Run, rows: Rows) -> None:
    """Each switch does the passes that change and no other; what was made before stays, to be compared with."""
    with Services(generated_cards(8)) as services:
        keys = {"CO_API_KEY", "ANTHROPIC_API_KEY"}
        local = {k: v for k, v in services.env.items() if k not in keys}
        run_hfmap("sync", "--no-map", env=local)
        assert services.count("embed", "extract", "summarize") == 0
        anthropic = {k: v for k, v in services.env.items() if k != "CO_API_KEY"}
        run_hfmap("sync", "--no-map", env=anthropic)
        assert (services.count("embed"), services.count("extract"), services.count("summarize")) == (0, 8, 8)
        run_hfmap("sync", "--no-map", env=services.env)
        assert (services.cohere.texts_embedded, services.count("extract", "summarize")) == (8, 16)
        compared = json.loads(run_hfmap("eval", "--against", "local", "--json", env=services.env).stdout)
    assert {field["cards"] for field in compared["against"]["fields"]} == {8}
    made = rows("SELECT s.stage, s.provider, count(*) FROM result r JOIN spec s USING (spec_id) GROUP BY 1, 2")
    assert sorted(made) == [
        (stage, provider, 8)
        for stage, cloud in (("embed", "cohere"), ("extract", "anthropic"), ("summarize", "anthropic"))
        for provider in sorted((cloud, "local"))
    ]


def test_real_cards_keyless(run_hfmap: Run, rows: Rows, corpus_cards: Path) -> None:
    run_hfmap("sync", "--no-map", "--source", corpus_cards)
    statuses: Counter[str] = Counter(dict(rows("SELECT card_status, count(*) FROM datasets GROUP BY 1")))
    assert sum(statuses.values()) == 427
    assert statuses["ok"] == rows("SELECT count(*) FROM datasets WHERE on_map")[0][0]
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    assert rows("SELECT min(length(trim(summary))) > 0 FROM datasets WHERE on_map") == [(1,)]
    # A verified quote stands in the stored card where its row says.
    checked = 0
    for text, quote, start, end in rows(
        "SELECT c.text, v.quote, v.quote_start, v.quote_end FROM field_value v JOIN result r USING (result_id) "
        "JOIN card c USING (input_hash) WHERE v.verified = 1"
    ):
        assert text[start:end] == quote
        checked += 1
    assert checked > 300


def test_integrity(run_hfmap: Run, rows: Rows, tmp_path: Path) -> None:
    with Services(generated_cards(20)) as services:
        run_hfmap("sync", "--no-map", env=services.env)
    with sqlite3.connect(tmp_path / "hfmap.sqlite") as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    # Every dataset is found by its own name, and by the first words of its summary.
    for repo_id, summary in rows("SELECT repo_id, summary FROM card"):
        for text in (repo_id, summary):
            phrase = '"' + text.replace('"', " ") + '"'
            found = rows(
                "SELECT c.repo_id FROM card_fts f JOIN card c ON c.dataset_id = f.rowid WHERE f.card_fts MATCH ?",
                phrase,
            )
            assert (repo_id,) in found
