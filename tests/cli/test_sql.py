from __future__ import annotations

import csv
import hashlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli.app import hfmap as command

BOMB = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def sql(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, ["sql", *arguments], input=stdin)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'other.sqlite' AS other",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "PRAGMA query_only = OFF",
        "PRAGMA query_only(0)",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version = 99",
        "PRAGMA writable_schema = ON",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA temp_store_directory = '.'",
        "SELECT * FROM pragma_query_only",
        "SELECT * FROM pragma_wal_checkpoint",
        "INSERT INTO run (command, started_at) VALUES ('x', 'y')",
        "UPDATE dataset SET likes = 1",
        "UPDATE dataset SET likes = 1 RETURNING repo_id",
        "UPDATE sqlite_master SET sql = ''",
        "DELETE FROM card",
        "DELETE FROM card_fts",
        "INSERT INTO card_fts (card_fts) VALUES ('rebuild')",
        "INSERT INTO card_fts (card_fts) VALUES ('delete-all')",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "CREATE VIRTUAL TABLE t USING fts5 (x)",
        "CREATE TEMP TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM card; END",
        "DROP VIEW datasets",
        "ALTER TABLE run RENAME TO walk",
        "REINDEX",
        "ANALYZE",
        "VACUUM",
        "VACUUM INTO 'copy.sqlite'",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "SAVEPOINT s",
        "SELECT load_extension('evil')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT writefile('x', 'y')",
        "SELECT 1; DELETE FROM card",
        "EXPLAIN DELETE FROM card",
    ],
)
def test_what_does_more_than_read_is_refused(database: Path, statement: str) -> None:
    before = digest(database)
    result = sql(statement)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("hfmap: ")
    assert "Traceback" not in result.output
    assert digest(database) == before
    assert {p.name for p in database.parent.iterdir()} <= {
        "hfmap.sqlite",
        "hfmap.sqlite-wal",
        "hfmap.sqlite-shm",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT repo_id FROM card_fts WHERE card_fts MATCH 'film'",
        "SELECT value FROM datasets, json_each(tags)",
        "SELECT name FROM pragma_table_info('datasets')",
        "PRAGMA table_info(quotes)",
        "PRAGMA user_version",
        "EXPLAIN QUERY PLAN SELECT * FROM datasets",
        "VALUES (1), (2)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
        "SELECT * FROM spending",
        "SELECT subject_domain, count(*) FROM datasets GROUP BY 1 ORDER BY 2 DESC",
    ],
)
def test_what_reads_is_allowed(database: Path, statement: str) -> None:
    result = sql(statement, "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)


@pytest.mark.parametrize("what", ["count(*)", "i"])
def test_a_bomb_is_stopped_in_time(database: Path, what: str) -> None:
    # The second one gives rows all the while: they are written, and then it is stopped too.
    result = sql(BOMB.format(what), "--timeout", "0.2", "--format", "csv")
    assert result.exit_code == 1
    assert "longer than 0.2 s" in result.stderr
    assert "--timeout" in result.stderr


def test_a_step_that_cannot_be_stopped_ends_with_the_process(database: Path, hfmap: Run) -> None:
    # Each of two million places is compared with a million characters: hours, in one step of SQLite's.
    needle = "printf('%.*c', 1000000, 'a') || 'b'"
    done = hfmap("sql", f"SELECT instr(printf('%.*c', 3000000, 'a'), {needle})", "--timeout", "0.1")
    assert done.returncode == 1
    assert "longer than 0.1 s" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT zeroblob(1000000000)",
        "SELECT hex(zeroblob(60000000))",
        "SELECT 'a' LIKE printf('%.*c', 300, '%')",
    ],
)
def test_what_would_eat_memory_is_refused(database: Path, statement: str) -> None:
    result = sql(statement)
    assert result.exit_code == 2
    assert "SQLite refuses" in result.stderr


@pytest.mark.parametrize(
    "statement",
    ["selec 1", "SELECT nothing FROM datasets", "", "   ", ";", "SELECT '", "\ud800", "SELECT json('{')", "SELECT ?"],
)
def test_a_wrong_query_is_a_sentence_and_a_next_step(database: Path, statement: str) -> None:
    result = sql(statement)
    assert result.exit_code == 2, result.output
    assert "--schema" in result.stderr


def test_query_and_schema_exclude_each_other(database: Path) -> None:
    assert sql().exit_code == 2
    assert sql("SELECT 1", "--schema").exit_code == 2


def test_json_is_one_array(database: Path) -> None:
    rows = json.loads(
        sql("SELECT repo_id, likes AS a, rank AS a, 9e999 AS big FROM datasets", "--format", "json").stdout
    )
    assert len(rows) == 6
    assert rows[0] == {"repo_id": "openai/gsm8k", "a": 900, "a_2": 1, "big": None}
    assert rows[3]["repo_id"] == "evil/\x1b[31mred"
    assert sql("SELECT 1 WHERE 0", "--format", "json").stdout == "[]\n"


def test_csv_and_tsv_give_values_as_they_are(database: Path) -> None:
    query = "SELECT repo_id, pretty_name, text, NULL AS void FROM card ORDER BY dataset_id"
    for form, delimiter in (("csv", ","), ("tsv", "\t")):
        rows = list(csv.reader(io.StringIO(sql(query, "--format", form).stdout, newline=""), delimiter=delimiter))
        assert rows[0] == ["repo_id", "pretty_name", "text", "void"]
        assert rows[4][:2] == ["evil/\x1b[31mred", "=cmd|' /C calc'!A0"]
        assert rows[4][3] == ""


def test_a_table_obeys_no_control_character(database: Path) -> None:
    shown = sql("SELECT repo_id, text FROM card").stdout
    assert not {c for c in shown if ord(c) < 32 and c != "\n"}
    assert "evil/␛[31mred" in shown
    assert len(shown.splitlines()) == 2 + 4


def test_a_table_cuts_long_values_and_knows_wide_characters(database: Path) -> None:
    lines = sql("SELECT printf('%.*c', 200, 'x') AS long, '日本語' AS wide, x'00ff' AS bytes").stdout.splitlines()
    assert lines[2].startswith("x" * 59 + "…")
    assert lines[0].index("bytes") == lines[2].index("<2 bytes>") + 3  # three characters, six cells


def test_a_table_fits_the_terminal(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = sql("SELECT repo_id, url, summary FROM datasets").stdout
    assert max(map(len, shown.splitlines())) <= 40


def test_the_query_may_come_from_stdin(database: Path) -> None:
    assert sql("-", "--format", "tsv", stdin="-- how many\nSELECT count(*) AS n FROM datasets").stdout == "n\n6\n"


def test_schema_names_the_promised_views_first(database: Path) -> None:
    rows = json.loads(sql("--schema", "--format", "json").stdout)
    names = list(dict.fromkeys(row["name"] for row in rows))
    assert names[:4] == ["datasets", "quotes", "spending", "run"]
    assert {"repo_id", "summary", "topic_0", "x"} <= {r["column"] for r in rows if r["name"] == "datasets"}
    assert not [name for name in names if name.startswith("card_fts_")]


def test_without_a_database_there_is_a_next_step(tmp_path: Path) -> None:
    result = sql("SELECT 1", "--db", "nowhere.sqlite")
    assert result.exit_code == 1
    assert "There is no database at nowhere.sqlite" in result.stderr
    assert "hfmap sync --source sample" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be taken for one" * 20, b""])
def test_another_file_is_not_a_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    result = sql("SELECT 1", "--db", "other")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert (tmp_path / "other").read_bytes() == content


def test_a_reader_that_stops_early_ends_it_quietly(
    database: Path, child_environment: Callable[..., dict[str, str]]
) -> None:
    query = BOMB.format("i, printf('%.*c', 100, 'x') AS filler")
    child = subprocess.Popen(
        [sys.executable, "-c", "from engine.cli import main; main()", "sql", query, "--format", "csv"],
        cwd=database.parent,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == b"i,filler\n"
        child.stdout.close()
        assert child.wait(timeout=120) == 0
        assert child.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_full_disk_behind_stdout_is_a_sentence(
    database: Path, child_environment: Callable[..., dict[str, str]], unbuffered: str
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from engine.cli import main; main()", "sql", "SELECT 1"],
            cwd=database.parent,
            env={**child_environment(), "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1, done.stderr
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_ctrl_c_stops_a_long_query(database: Path, child_environment: Callable[..., dict[str, str]]) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from engine.cli import main; main()",
            "sql",
            BOMB.format("i"),
            "--format",
            "csv",
        ],
        cwd=database.parent,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == b"i\n"
        child.send_signal(signal.SIGINT)
        child.stdout.read()
        assert child.wait(timeout=120) == 130
        assert b"Traceback" not in child.stderr.read()
