"""The one-line summary: read, judged, trimmed."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taxonomy.answers.summaries import parse_summary, summary_problem, trim_summary

LINE = "12,000 labelled bird calls recorded in Norway by volunteers, with species and weather, for acoustic monitoring."


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps({"summary": LINE}),
        f"```json\n{json.dumps({'summary': LINE})}\n```",
        f'Here is the line:\n{{"summary": "{LINE}"}}\nDone.',
        json.dumps({"result": {"Summary": LINE}}),
        json.dumps([{"summary": LINE}]),
        LINE,
        f'"{LINE}"',
        f"Sure! {LINE}",
        f"Summary: {LINE}",
        f"Here is a summary: **{LINE}**",
        f"{{'summary': '{LINE}'",
        f"- {LINE}",
        f"## {LINE}",
        LINE.replace("bird calls", "**bird calls**").replace("Norway", "[Norway](https://no.example)"),
        LINE.rstrip("."),
        json.dumps({"summary": LINE.rstrip(".")}),
        json.dumps({"summary": "to be decided"}) + "\n" + json.dumps({"summary": LINE}),
        f'"summary": "{LINE}"}}',
    ],
)
def test_the_line_is_found_in_any_wrapping(answer: str) -> None:
    assert parse_summary(answer) == (LINE, None)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("", "no sentence"),
        ("{}", "no sentence"),
        ('{"summary": ""}', "no sentence"),
        ('{"summary": 3}', "no sentence"),
        ("...", "no sentence"),
        ("not_stated", "no sentence"),
        ('{"summary": "N/A"}', "no sentence"),
        ('| field | value |\n|---|---|\n| summary | "x y" |', "no sentence"),
        ("I'm sorry, but I can't help with that.", "declined"),
    ],
)
def test_no_line_has_a_reason(answer: str, word: str) -> None:
    text, problem = parse_summary(answer)
    assert text is None
    assert problem is not None
    assert word in problem


def test_a_line_that_breaks_off_is_kept_as_far_as_it_stands_alone() -> None:
    cut = json.dumps({"summary": LINE})[:95]
    assert parse_summary(cut) == ("12,000 labelled bird calls recorded in Norway by volunteers, with species.", None)
    assert parse_summary(cut[:34])[1] == "it breaks off"
    assert parse_summary(json.dumps({"summary": LINE})[:-2]) == (LINE, None)


def test_a_single_word_is_asked_about_again() -> None:
    assert parse_summary('{"summary": "no-such-slug"}') == (None, "it is a single word")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("Dataset of birds.", "opens with"),
        ("A multilingual dataset of birds.", "opens with"),
        ("The BirdCall dataset contains birds.", "opens with"),
        ("In this dataset, birds sing.", "opens with"),
        ("This dataset contains birds.", "opens with"),
        ("this is a set of birds.", "opens with"),
        ("A dataset of birds.", "opens with"),
        ("The corpus of birds.", "opens with"),
        ("A new benchmark for birds.", "opens with"),
        ("We present birds.", "opens with"),
        ("Bird calls. Norway.", "one sentence"),
        ("Bird calls! Norway is cold.", "one sentence"),
        ("鳥の声。ノルウェー。", "one sentence"),
        ("bird " * 26, "26 words"),
        ("High-quality bird calls.", "marketing"),
        ("A comprehensive list of birds.", "marketing"),
        ("x" * 400, "characters"),
        ("", "empty"),
        ("...", "empty"),
    ],
)
def test_a_bad_line_is_named(line: str, word: str) -> None:
    problem = summary_problem(line)
    assert problem is not None
    assert word in problem


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        "Bird calls from the U.S. Fish and Wildlife Service, e.g. owls, vs. crows, at 44.1 kHz.",
        "Calls of J. K. Rowling's owls.",
        "Thistle pictures.",
        'Questions such as "Why?" with answers.',
        "Thesis abstracts from Node.js and ASP.NET repositories.",
        "Theory questions",
    ],
)
def test_a_good_line_has_no_problem(line: str) -> None:
    assert summary_problem(line) is None
    assert trim_summary(line) == line if line.endswith(".") else f"{line}."


@pytest.mark.parametrize(
    ("line", "trimmed"),
    [
        ("This dataset contains 12,000 bird calls. It is large.", "12,000 bird calls."),
        ("This is a dataset of bird calls.", "Bird calls."),
        ("This BirdNet dataset consists of calls.", "Calls."),
        ("Dataset of birds.", "Birds."),
        ("In this dataset, birds sing.", "Birds sing."),
        ("rich", "Data without a description."),
        ("A dataset of high-quality, rich bird calls", "Bird calls."),
        ("A comprehensive owl list", "An owl list."),
        ("We introduce OwlNet, a list of owls.", "OwlNet, a list of owls."),
        (
            "Bird calls from Norway and Sweden, recorded by volunteers on phones, with species, weather and time of "
            "day, for training acoustic models that tell owls from crows and many other birds",
            "Bird calls from Norway and Sweden, recorded by volunteers on phones, with species, weather "
            "and time of day.",
        ),
    ],
)
def test_trimming_keeps_what_matters(line: str, trimmed: str) -> None:
    assert trim_summary(line) == trimmed


WORDS = """this dataset is a the of corpus contains birds, (owls) calls. for training high-quality rich We e.g.
12,000 and"""
words = st.sampled_from(WORDS.split())


@given(st.lists(words, min_size=1, max_size=60).map(" ".join) | st.text(min_size=1, max_size=600))
@example("This is")
@example("this dataset this dataset this dataset")
@example("rich")
@example("a. b. c.")
@example("(" * 30 + "a")
@example("the corpus. the corpus. " * 20)
def test_a_trimmed_line_keeps_the_rules(text: str) -> None:
    line = trim_summary(text)
    assert line or not text.strip()
    if any(c.isalnum() for c in text):
        assert summary_problem(line) is None
    assert trim_summary(text) == line


@given(st.text(alphabet=st.characters(), max_size=300))
def test_reading_never_raises(text: str) -> None:
    line, problem = parse_summary(text)
    assert line or problem
    if line is not None:
        line.encode()
        assert line.isprintable()
