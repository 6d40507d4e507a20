"""`hfmap override`: what it takes, what it refuses, and that a file of corrections is taken whole or not at all."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.app import hfmap as command
from engine.cli.override import read_file, write_file
from engine.store.connection import writing
from taxonomy.corrections import CorrectionError, read_summary, read_value, written
from taxonomy.model import load

GSM8K = "openai/gsm8k"


def call(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, ["override", *arguments], input=stdin)


def ask(database: Path, sql: str) -> list[tuple[object, ...]]:
    conn = sqlite3.connect(database)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()


def shown(database: Path, column: str, repo_id: str = GSM8K) -> object:
    return ask(database, f"SELECT {column} FROM datasets WHERE repo_id = '{repo_id}'")[0][0]


def test_a_value_is_set_listed_and_taken_back(database: Path) -> None:
    done = call(GSM8K, "subject_domain", "Code and_Software", "--note", "it is", "--author", "me")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "subject_domain is now code-and-software" in done.stderr
    assert "hfmap map" in done.stderr
    assert shown(database, "subject_domain") == "code-and-software"
    listed = json.loads(call("--list", "--json").stdout)
    assert [(c["repo_id"], c["value"], c["note"], c["author"]) for c in listed] == [
        (GSM8K, "code-and-software", "it is", "me")
    ]
    assert "code-and-software" in call("--list", GSM8K).stdout
    assert "taken back: subject_domain" in call(GSM8K, "subject_domain", "--clear").stderr
    assert shown(database, "subject_domain") == "math-and-reasoning"
    assert "no correction of subject_domain" in call(GSM8K, "subject_domain", "--clear").stderr
    assert "Nothing has been corrected" in call("--list").stderr


def test_a_summary_is_found_by_search(database: Path) -> None:
    done = call(GSM8K, "--summary", " This dataset has  zebras. ")
    assert "Warning: the summary is kept as it is, but it opens with" in done.stderr
    assert shown(database, "summary") == "This dataset has zebras."
    assert "gsm8k" in CliRunner().invoke(command, ["search", "zebras"]).stdout
    assert "zebras" in CliRunner().invoke(command, ["show", GSM8K]).stdout


@pytest.mark.parametrize(
    ("field", "text", "stored"),
    [
        ("training_stage", "sft, eval", '["sft","eval"]'),
        ("training_stage", '["eval"]', '["eval"]'),
        ("special_characteristics", "", "[]"),
        ("special_characteristics", "[]", "[]"),
        ("geo_scope", '["Korea, Republic of", "Japan"]', '["Korea, Republic of","Japan"]'),
        ("geo_scope", "Not Stated", '["not_stated"]'),
        ("upstream_models", "GPT-4, GPT-4", '["GPT-4"]'),
        ("is_benchmark", "Yes", 1),
        ("provenance_method", "web-scraped", "web-scraped"),
    ],
)
def test_values_of_every_kind(database: Path, field: str, text: str, stored: object) -> None:
    assert call(GSM8K, field, text).exit_code == 0
    assert shown(database, field) == stored


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((GSM8K, "subject_domain", "medicine"), ("is not a value of subject_domain", "medical-and-biomedical")),
        ((GSM8K, "subject_domian", "other"), ('no field "subject_domian"', "Did you mean subject_domain?")),
        ((GSM8K, "training_stage", "sft, not_stated"), ("not_stated cannot stand beside",)),
        ((GSM8K, "training_stage", ""), ("needs at least one value",)),
        ((GSM8K, "training_stage", "[sft]"), ("not valid JSON",)),
        ((GSM8K, "training_stage", "[1]"), ("a list of texts",)),
        ((GSM8K, "is_benchmark", "perhaps"), ("true or false",)),
        ((GSM8K, "--summary", " . "), ("summary is empty",)),
        ((), ("one thing to do",)),
        ((GSM8K,), ("one thing to do",)),
        ((GSM8K, "subject_domain"), ("one thing to do",)),
        (("--clear",), ("one thing to do",)),
        ((GSM8K, "--export", "x.csv"), ("leave out",)),
        (("--list", "--export", "x.csv"), ("one thing to do",)),
    ],
)
def test_what_is_refused(database: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    for part in words:
        assert part in done.stderr
    assert ask(database, "SELECT * FROM override") == []


def test_an_unknown_dataset_is_told_with_those_like_it(database: Path) -> None:
    done = call("openai/gsm9k", "subject_domain", "other")
    assert done.exit_code == 1
    assert "Did you mean openai/gsm8k" in done.stderr


def test_a_former_name_is_understood(database: Path) -> None:
    with sqlite3.connect(database) as conn:
        conn.execute("INSERT INTO alias VALUES ('gsm8k/old', 1, 1)")
    conn.close()
    assert "openai/gsm8k: is_benchmark is now true" in call("gsm8k/old", "is_benchmark", "true").stderr
    assert shown(database, "role") == "Benchmark"


def test_another_command_writes(database: Path) -> None:
    with writing(database):
        done = call(GSM8K, "is_benchmark", "true")
        assert json.loads(call("--list", "--json").stdout) == []
    assert done.exit_code == 1
    assert "is being written" in done.stderr


def test_without_a_database_there_is_a_next_step(tmp_path: Path) -> None:
    for arguments in ((GSM8K, "is_benchmark", "true"), ("--list",), ("--export", "x.csv"), ("--import", "x.csv")):
        done = call(*arguments)
        assert done.exit_code == 1
        assert "hfmap sync --source sample" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_goes_out_and_comes_back(database: Path, tmp_path: Path) -> None:
    call(GSM8K, "geo_scope", '["Korea, Republic of"]', "--note", 'said "so"\nin two lines', "--author", "me")
    call(GSM8K, "--summary", "Sums, and more; again.")
    call("imdb", "is_benchmark", "no")
    assert "3 corrections written" in call("--export", "fixed.csv").stderr
    assert "no-folder/fixed.csv cannot be written" in call("--export", "no-folder/fixed.csv").stderr
    assert call("--export", "-").stdout == (tmp_path / "fixed.csv").read_text()
    before = ask(database, "SELECT * FROM override ORDER BY 1, 2")
    for name in (GSM8K, "imdb"):
        call(name, "--clear")
    assert ask(database, "SELECT * FROM override") == []
    assert "3 corrections taken" in call("--import", "fixed.csv").stderr
    assert ask(database, "SELECT * FROM override ORDER BY 1, 2") == before
    assert sorted(path.name for path in tmp_path.iterdir() if "fixed" in path.name) == ["fixed.csv"]


HOSTILE = (
    "=HYPERLINK(\"http://x.example\")", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''@x", "'quoted'",
    "a\rb", "a\r\nb", '"', ";", "\u202e\u200b", "</script>", "'; DROP TABLE override; --",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula_in_a_spreadsheet_and_all_come_back(database: Path, tmp_path: Path, text: str) -> None:
    file, summary = tmp_path / "fixed.csv", read_summary(f"{text} x")
    write_file(str(file), [(GSM8K, "summary", summary, text, text, "2026-11-20T10:00:00Z")])
    with file.open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r")]
    with closing(sqlite3.connect(database)) as conn:
        (back,) = read_file(str(file), conn, load())
    assert (back.value, back.note, back.author) == (summary, text, text)


def test_a_file_from_a_spreadsheet(database: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(
        b"\xef\xbb\xbfRepo_ID;field;value\r\nopenai/gsm8k;training_stage;sft, eval\r\n;;\r\nstanfordnlp/imdb;is_benchmark;TRUE\r\n"
    )
    assert call("--import", "x.csv").exit_code == 0
    assert shown(database, "training_stage") == '["sft","eval"]'
    assert shown(database, "role", "stanfordnlp/imdb") == "Benchmark"


def test_a_file_with_errors_changes_nothing(database: Path, tmp_path: Path) -> None:
    with (tmp_path / "x.csv").open("w", newline="") as stream:
        rows = [
            ("repo_id", "field", "value", "note", "created_at"),
            (GSM8K, "is_benchmark", "true", "two\nlines", ""),
            (GSM8K, "subject_domain", "maths", "", ""),
            ("openai/gsm", "is_benchmark", "true", "", ""),
            (GSM8K, "is_benchmark", "false", "", ""),
            (GSM8K, "geo_scope", "", "", ""),
            (GSM8K, "nonsense", "x", "", ""),
            (GSM8K, "summary", "Sums.", "", "yesterday"),
        ]
        csv.writer(stream).writerows(rows)
    done = call("--import", "x.csv")
    assert done.exit_code == 2
    for words in (
        'line 4: "maths" is not a value of subject_domain. Did you mean math-and-reasoning',
        'line 5: there is no dataset "openai/gsm" in the database. Did you mean openai/gsm8k',
        "line 6: the same field of the same dataset stands in line 2",
        "line 7: the value is empty",
        'line 8: there is no field "nonsense"',
        'line 9: created_at is "yesterday"',
    ):
        assert words in done.stderr
    assert ask(database, "SELECT * FROM override") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not name the columns"),
        (b"repo_id,field,value,colour\n", "does not name the columns"),
        (b"repo_id,field,value\na,b,c,d\n", "line 2: there are 4 values for 3 columns"),
        (b'repo_id,field,value\na,b,"c\n', "line 2: this is not CSV"),
        (b"repo_id,field,value\n\xff", "not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_files_that_are_none(database: Path, tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "x.csv").write_bytes(content)
    done = call("--import", "x.csv")
    assert done.exit_code in {1, 2}
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_hostile_text_is_shown_harmless(database: Path) -> None:
    done = call("evil/\x1b[31mred", "geo_scope", "Nor\x1b[2Jway", "--note", "\x1b]0;title\x07")
    assert done.exit_code == 0
    everything = done.stderr + call("--list").stdout + call("--list", "--json").stdout
    assert "\x1b" not in everything
    assert "\x07" not in everything


@given(st.text(max_size=60), st.sampled_from(load().fields))
def test_whatever_is_typed_is_a_value_or_a_sentence(text: str, field: object) -> None:
    try:
        value = read_value(field, text)  # type: ignore[arg-type]
    except CorrectionError:
        return
    assert field.allows(value)  # type: ignore[attr-defined]
    assert read_value(field, written(list(value) if isinstance(value, tuple) else value)) == value  # type: ignore[arg-type]


@given(st.text(max_size=60))
def test_any_summary(text: str) -> None:
    try:
        line = read_summary(text)
    except CorrectionError:
        return
    assert read_summary(line) == line
