"""Sentences that open with what the records are, or with the dataset's name."""

from __future__ import annotations

import pytest

from taxonomy.answers.summaries import summary_problem
from taxonomy.card import CardInput
from taxonomy.keyless import summary
from taxonomy.keyless.openings import rewritten
from taxonomy.keyless.rules import summarize


@pytest.mark.parametrize(
    ("sentence", "line"),
    [
        ("OwlNet, is a large dataset that contains 900 recorded owl calls.", "900 recorded owl calls."),
        ("In this paper, we develop a new corpus of owl calls from Norway.", "Owl calls from Norway."),
        (
            "It was collected from forums on owls and has 900 posts.",
            "OwlNet was collected from forums on owls and has 900 posts.",
        ),
        ("This dataset was recorded using phones in Norway and Sweden.", "OwlNet was recorded using phones in Norway and Sweden."),
        ("Recorded using phones in Norway and Sweden by volunteers.", "OwlNet was recorded using phones in Norway and Sweden by volunteers."),
        ("Books are a source of fine-grained information on owls.", "Books are a source of fine-grained information on owls."),
        ("OwlNet covers 900 nights and is recorded in Norway.", "OwlNet covers 900 nights and is recorded in Norway."),
        ("These have been labelled by people who know owls.", None),
        ("An example of a call looks as follows in the data.", None),
        ("This dataset is in Norwegian.", None),
    ],
)  # fmt: skip
def test_a_sentence_opens_with_the_records_or_the_name(sentence: str, line: str | None) -> None:
    assert rewritten(sentence, "OwlNet") == line


@pytest.mark.parametrize("title", ["", "x" * 80, "one two three four five six seven", "<b>Owl</b>"])
def test_without_a_fit_name_a_verb_is_no_opening(title: str) -> None:
    line = rewritten("It was collected from forums on owls in Norway and Sweden.", title)
    assert line is None or not line.startswith(("Was", "It"))


@pytest.mark.parametrize(
    "text",
    [
        "ner_tags: an array of tags, where 0 indicates no owl in the sentence.",
        "Label: a classification label, with possible values including owl and crow.",
        "Split   questions   purpose\ntest   14,042   reported accuracy\nvalidation   1,531   hyperparameters",
        "The default date is today, but you can also change the date with this.",
        "Warning: these owl calls contain content that may be offensive to crows.",
        "Can a machine really tell an owl from a crow at night?",
        "The owl calls of the northern forests are derived from.",
        "sa sc scn sco sd sg sgn sh si sk sl sm sna sn som so sot st sq sr",
        "The data fields are the same among all splits of the owl calls.",
    ],
)
def test_columns_tables_and_broken_ends_are_no_summaries(text: str) -> None:
    assert summary.candidates(text, "Owls") == []


def test_a_line_broken_by_an_editor_is_one_sentence() -> None:
    text = (
        "One-second .wav audio files, each containing a single spoken\n"
        "English word or background noise from a crowd of volunteers."
    )
    assert summary.candidates(text, "Owls")[0].line == (
        "One-second .wav audio files, each containing a single spoken English word or background noise from a crowd "
        "of volunteers."
    )


@pytest.mark.parametrize(
    "body",
    [
        "",
        "owl",
        "\U0001f989 \U0001f989\U0001f989",
        "| a | b |\n|---|---|\n| 1 | 2 |\n" * 50,
        "```python\nload()\n```\n" * 20,
        "[a](https://x.example) [b](https://y.example)\n" * 40,
        "これは日本のフクロウの鳴き声を集めたデータです。録音は千時間あります。",
        "<div><img src=x onerror=alert(1)>" * 30,
        "It is. It was. This. That. We. " * 40,
    ],
)
def test_odd_cards_get_a_line_that_keeps_the_rules(body: str) -> None:
    line = summarize(CardInput(body, "Owl calls", ("task_categories:audio-classification",)))
    assert summary_problem(line) is None
    assert not any(mark in line for mark in "<>|`[]{}")
