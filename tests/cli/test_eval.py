"""`hfmap eval`: its figures, worked out by hand, and what it does with files that are not as they should be."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from engine.cli.app import hfmap as command
from engine.reports import scores
from tests.cli.small import Small


def run(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(command, list(arguments))
    assert done.exit_code == code, done.output
    return done


def facts(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return found


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    made = Small(tmp_path / "hfmap.sqlite")
    yield made
    made.close()


@pytest.fixture
def read(small: Small) -> Small:
    """Four cards, read by rules and, three of them, by a model."""
    model = small.reader("anthropic", "claude-haiku-4-5", current=False)
    rules = small.reader("local", "rules")
    truths: list[tuple[dict[str, Any], str | None]] = [
        ({"subject_domain": "math-and-reasoning", "training_stage": ["sft", "eval"], "is_benchmark": True}, "Sums for pupils."),
        ({"subject_domain": "math-and-reasoning", "training_stage": ["sft"], "is_benchmark": False}, "Proofs in Lean."),
        ({"subject_domain": "multi-domain", "training_stage": ["eval"], "is_benchmark": False}, "This is a set of sums."),
        ({"subject_domain": (None, False, '"maths" is not one of the allowed slugs')}, None),
    ]  # fmt: skip
    for place, (fields, summary) in enumerate(truths):
        number = small.dataset(f"org/d{place}")
        small.read(rules, number, fields, summary)
        if place < 3:
            small.read(model, number, {"subject_domain": "math-and-reasoning"}, "Sums for pupils.")
    return small


REFERENCE = [
    {"id": "org/d0", "reference": {"subject_domain": "Math And Reasoning", "training_stage": "Sft, Eval",
                                   "role": "Benchmark", "summary": "Sums for many pupils."}},
    {"id": "ORG/D1", "reference": {"subject_domain": "math-and-reasoning", "training_stage": ["eval", "sft"],
                                   "role": "Benchmark", "summary": "Poems."}},
    {"id": "org/d2", "reference": {"subject_domain": "Math and reasoning", "training_stage": "Eval", "role": "Unknown"}},
    {"id": "org/d3", "reference": {"subject_domain": "Code And Software", "mood": "glad"}},
    {"id": "org/unknown", "reference": {"subject_domain": "Legal And Policy"}},
    {"id": "org/unlabelled"},
]  # fmt: skip


def reference(path: Path, entries: list[Any] = REFERENCE) -> str:
    text = "\n".join(json.dumps(entry) for entry in entries) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["labels.jsonl", "labels.jsonl.gz"])
def test_fields_and_summaries_are_scored(read: Small, tmp_path: Path, name: str) -> None:
    found = facts("eval", "--reference", reference(tmp_path / name))["reference"]
    assert (found["labelled"], found["in_database"]) == (5, 4)
    score = {(s["field"], s["compared"]): s for s in found["fields"]}
    subject = score["subject_domain", "value"]
    # Two of four are right; one holds no valid value. F1 of maths: 2·2/(3+2) = .8; of code: 0.
    assert (subject["cards"], subject["answered"], subject["accuracy"], subject["macro_f1"]) == (4, 75.0, 50.0, 40.0)
    # Always maths: 3 of 4; F1 2·3/(3+4) = 6/7 and 0.
    assert (subject["majority"], subject["majority_accuracy"]) == ("math-and-reasoning", 75.0)
    assert subject["majority_macro_f1"] == 42.9
    assert subject["confusions"] == [
        {"reference": "code-and-software", "found": "(no value)", "cards": 1},
        {"reference": "math-and-reasoning", "found": "multi-domain", "cards": 1},
    ]
    # The first stages are sft/sft, eval/sft, eval/eval; as sets: the same, {eval, sft}/{sft}, the same.
    assert score["training_stage", "first"]["accuracy"] == score["training_stage", "all"]["accuracy"] == 66.7
    # eval: 2·2/(3+2) = .8; sft: 2·2/(2+2) = 1.
    assert score["training_stage", "all"]["macro_f1"] == 90.0
    assert score["is_benchmark", "value"]["cards"] == 2
    assert score["is_benchmark", "value"]["accuracy"] == 50.0
    summaries = found["summaries"]
    # "sums for pupils" in "sums for many pupils": 2·3/(3+4) = 85.7; "proofs in lean" against "poems": 0.
    assert (summaries["cards"], summaries["rouge_l"]) == (2, 42.9)
    assert summaries["found"]["mean_words"] == 3.0
    assert summaries["reference"]["openings"] == [["Poems.", 1], ["Sums for", 1]]


def test_the_words_and_the_page_say_the_same(read: Small, tmp_path: Path) -> None:
    done = run("eval", "--reference", reference(tmp_path / "r.jsonl"), "--html", "out/page.html")
    assert "subject_domain" in done.stdout
    assert "Not fields of the taxonomy: mood." in done.stdout
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "42.9" in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_correction_counts_and_is_told(read: Small, tmp_path: Path) -> None:
    read.conn.execute(
        "INSERT INTO override VALUES (3, 'subject_domain', '\"math-and-reasoning\"', NULL, NULL, '2026-11-20')"
    )
    path = reference(tmp_path / "r.jsonl")
    found = facts("eval", "--reference", path)["reference"]
    assert found["corrected"] == 1
    assert [s["accuracy"] for s in found["fields"] if s["field"] == "subject_domain"] == [75.0]
    assert "1 values of the database are people's corrections" in run("eval", "--reference", path).stdout


def test_two_readers_are_compared(read: Small, tmp_path: Path) -> None:
    found = facts("eval", "--against", "anthropic")["against"]
    assert found["readers"] == {"extract: anthropic claude-haiku-4-5": 3, "summarize: anthropic claude-haiku-4-5": 3}
    (subject,) = found["fields"]
    # The model says maths thrice: chance agrees on 2/3, as they do.
    assert (subject["cards"], subject["same"], subject["kappa"]) == (3, 66.7, 0.0)
    assert subject["confusions"] == [{"reference": "math-and-reasoning", "found": "multi-domain", "cards": 1}]
    # 100, 0 ("Proofs in Lean."), and one word of six and three: 2·1/(6+3) = 22.2; the mean is 40.7.
    assert found["summaries"]["rouge_l"] == 40.7
    assert found["summaries"]["found"]["bad_opening"] == 33.3
    both = facts("eval", "--against", "claude-haiku-4-5", "--reference", reference(tmp_path / "r.jsonl"))
    subjects = [
        next(s for s in side["fields"] if s["field"] == "subject_domain")
        for side in (both["reference"], both["reference"]["against"])
    ]
    assert [(s["cards"], s["accuracy"]) for s in subjects] == [(3, 66.7), (3, 100.0)]
    assert (
        "Cards were read by: anthropic (claude-haiku-4-5), local (rules)"
        in run("eval", "--against", "gpt-4", code=1).stderr
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"id": "a/b", "reference": {"subject_domain": "Other"}}\n{"id": ', "line 2"),
        (b"[1]\n", "line 1: not a JSON object"),
        (b'{"id": "a/b"}\n', "holds no labels"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'{"id": "a/b", "reference": {"subject_domain": "Other"}}\n', "None of the 1 labelled datasets"),
        (
            b'{"id": "org/d0", "reference": {"subject_domain": "Cookery"}}\n',
            "no slugs of the taxonomy: subject_domain: Cookery",
        ),
    ],
)
def test_a_file_that_is_no_reference_is_named(read: Small, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "bad.jsonl").write_bytes(content)
    done = CliRunner().invoke(command, ["eval", "--reference", "bad.jsonl"])
    assert done.exit_code in {1, 2}
    assert said in done.stderr
    (tmp_path / "bad.jsonl.gz").write_bytes(gzip.compress(content)[:-6])
    done = CliRunner().invoke(command, ["eval", "--reference", "bad.jsonl.gz"])
    assert done.exit_code in {1, 2}
    assert "Something went wrong" not in done.stderr


def test_labels_that_are_no_slugs_are_told_and_not_scored(read: Small, tmp_path: Path) -> None:
    entries = [{"id": "org/d0", "reference": {"subject_domain": "Cookery", "role": "Benchmark"}}]
    found = facts("eval", "--reference", reference(tmp_path / "r.jsonl", entries))["reference"]
    assert found["unknown_labels"] == [{"field": "subject_domain", "label": "Cookery", "cards": 1}]
    assert [s["field"] for s in found["fields"]] == ["is_benchmark"]


def test_nothing_to_compare_with(read: Small, tmp_path: Path) -> None:
    assert "nowhere.jsonl cannot be read: No such file" in run("eval", "--reference", "nowhere.jsonl", code=2).stderr
    assert "cannot be read" in run("eval", "--reference", str(tmp_path), code=2).stderr
    assert "--reference FILE" in run("eval", code=2).stderr


def test_rouge_l() -> None:
    assert scores.rouge_l("A cat sat.", "a CAT sat") == 100
    assert scores.rouge_l("police killed the gunman", "police kill the gunman") == 75
    # The longest common subsequence keeps the order: "the gunman", not "police the gunman".
    assert scores.rouge_l("the gunman kill police", "police killed the gunman") == 50
    assert scores.rouge_l("", "anything") == 0
    assert scores.rouge_l("语言 数据", "语言 模型") == 50


def test_rank_correlation_shares_equal_ranks() -> None:
    values = np.array([10.0, 20.0, 20.0, 30.0])
    assert scores.spearman(values, -values) == pytest.approx(-1)
    # By hand: deviations (-1.5, 0, 0, 1.5) and (-1.5, -.5, .5, 1.5): 4.5 / sqrt(4.5 · 5).
    assert scores.spearman(values, np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(4.5 / 22.5**0.5)
    assert scores.spearman(values, np.ones(4)) is None
    assert scores.spearman(values[:1], values[:1]) is None
