"""Whole runs on files of people's own: bad rows and bad cards among good ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run

Rows = Callable[..., list[tuple[Any, ...]]]

BODY = "Sentences about birds and their songs, each with a date and a place. " * 6

CARDS = {
    "bad/bottomless": "---\nlanguage: " + "[" * 100_000 + "\n---\n" + BODY,
    "bad/laughs": "---\na: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(99)) + "---\n" + BODY,
    "bad/surrogate": "\ud800 " + BODY,
    "bad/nul": "\0 " + BODY,
    "bad/brackets": "[![<" * 600_000,
    "bad/unit-separator": "# Heading\x1f\x85\u2028 " + BODY,
}


def test_bad_rows_are_named_and_the_others_mapped(run_hfmap: Run, rows: Rows, tmp_path: Path) -> None:
    good = [{"id": f"good/{n}", "card": f"# {n}\n{BODY}{n}", "likes": 10 - n} for n in range(3)]
    again = {"id": "good/0", "card": "The id was there before.", "likes": 0}
    lines = [*map(json.dumps, [*good, again, {"card": "no id"}]), "{broken", *(
        json.dumps({"id": repo_id, "card": card}) for repo_id, card in CARDS.items()
    )]  # fmt: skip
    (tmp_path / "cards.jsonl").write_text("\n".join(lines))
    for _ in range(2):
        done = run_hfmap("sync", "--no-map", "--source", "cards.jsonl", code=3)
        assert "2 items failed:" in done.stderr
        assert "line 5: the row has no id" in done.stderr
        assert "line 6: it is not JSON" in done.stderr
        assert "will be tried again" not in done.stderr
    ranked = rows("SELECT repo_id, on_map, card_status, summary IS NOT NULL FROM datasets ORDER BY rank")
    assert ranked == [(f"good/{n}", 1, "ok", 1) for n in range(3)] + [(repo_id, 1, "ok", 1) for repo_id in CARDS]
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    problems: dict[str, str] = dict(rows("SELECT repo_id, problems FROM card WHERE problems <> '[]'"))
    assert "nested more than" in problems["bad/bottomless"]
    assert "NUL" in problems["bad/nul"]
    assert "cut at 2,000,000 bytes" in problems["bad/brackets"]


@pytest.mark.parametrize("name", ["cards.jsonl", "cards.jsonl.gz", "cards.parquet", "cards"])
def test_a_source_without_a_card_is_a_sentence(run_hfmap: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"") if "." in name else path.mkdir()
    done = run_hfmap("sync", "--source", name, code=1)
    assert name in done.stderr
    assert not (tmp_path / "site").exists()
