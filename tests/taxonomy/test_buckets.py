"""Display buckets are those of the published map."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import buckets
from taxonomy.model import load

ROWS = Path(__file__).parents[2] / "../shared/corpus/rows.jsonl.gz"

LICENSE_FAMILIES = {
    "MIT", "Apache", "GPL Family", "BSD", "MPL", "CC BY", "CC ShareAlike", "CC NonCommercial", "CC0 / Public Domain",
    "CC (other)", "ODC / ODbL", "OpenRAIL", "Llama License", "Gemma License", "Other Permissive", "Other",
}  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "family"),
    [
        ("mit", "MIT"),
        ("apache-2.0", "Apache"),
        ("Apache 2.0", "Apache"),
        ("gpl-3.0", "GPL Family"),
        ("lgpl-lr", "GPL Family"),
        ("agpl-3.0", "GPL Family"),
        ("bsd-3-clause-clear", "BSD"),
        ("mpl-2.0", "MPL"),
        ("cc-by-4.0", "CC BY"),
        ("cc-by-2.5", "CC BY"),
        ("cc-by-nd-4.0", "CC BY"),
        ("cc-by-sa-4.0", "CC ShareAlike"),
        ("cc-by-nc-sa-4.0", "CC NonCommercial"),
        ("cc-by-nc-nd-3.0", "CC NonCommercial"),
        ("cc0-1.0", "CC0 / Public Domain"),
        ("pddl", "CC0 / Public Domain"),
        ("unlicense", "CC0 / Public Domain"),
        ("cc", "CC (other)"),
        ("odc-by", "ODC / ODbL"),
        ("odbl", "ODC / ODbL"),
        ("cdla-permissive-2.0", "ODC / ODbL"),
        ("creativeml-openrail-m", "OpenRAIL"),
        ("bigscience-bloom-rail-1.0", "OpenRAIL"),
        ("llama3.1", "Llama License"),
        ("gemma", "Gemma License"),
        ("artistic-2.0", "Other Permissive"),
        ("other", "Other"),
        ("unknown", "Other"),
        ("", "Other"),
        (None, "Other"),
        (["mit", "other"], "MIT"),
        ("limited", "Other"),
    ],
)
def test_license_families(tag: str | None, family: str) -> None:
    assert buckets.license_family(tag) == family
    assert family in LICENSE_FAMILIES


@pytest.mark.parametrize(
    ("tags", "bucket"),
    [
        (["n<1K"], "<1K"),
        (["1K<n<10K"], "1K–10K"),
        (["10K<n<100K"], "10K–100K"),
        (["100K<n<1M"], "100K–1M"),
        (["1M<n<10M"], "1M–10M"),
        (["10M<n<100M"], "10M–100M"),
        (["100M<n<1B"], "100M–1B"),
        (["1B<n<10B"], "1B–10B"),
        (["10B<n<100B"], "10B–100B"),
        (["100B<n<1T"], "100B–1T"),
        (["n>1T"], ">1T"),
        (["size_categories:10k < n < 100k"], "10K–100K"),
        (["unknown", "n<1K"], "<1K"),
        (["100K<n<1M", "10M<n<100M"], "100K–1M"),
        (["n"], "Unknown"),
        (["12"], "Unknown"),
        (["0<n<0"], "Unknown"),
        ([], "Unknown"),
        ("n<1K", "<1K"),
        ([None, 12], "Unknown"),
    ],
)
def test_size_buckets(tags: list[str], bucket: str) -> None:
    assert buckets.size_category(tags) == bucket


@pytest.mark.parametrize(
    ("languages", "multilinguality", "tasks", "label"),
    [
        (["en"], [], [], "English"),
        (["language:zh-Hans"], [], [], "Chinese"),
        (["pt-BR"], [], [], "Portuguese"),
        (["cmn"], [], [], "Chinese"),
        (["ady"], [], [], "Adyghe"),
        (["code"], [], [], "code"),
        (["中文"], [], [], "中文"),
        (["english"], [], [], "English"),
        (["en", "en"], [], [], "English"),
        (["en", "de"], [], [], "Multilingual"),
        (["en", "de"], ["monolingual"], [], "English"),
        (["en", "de"], ["translation"], [], "Translation"),
        (["en", "de"], ["multilingual"], ["translation"], "Multilingual"),
        (["en", "de"], [], ["translation"], "Translation"),
        (["en", "de", "fr"], [], ["translation"], "Multilingual"),
        (["multilingual"], [], [], "Multilingual"),
        ([], ["multilinguality:multilingual"], [], "Multilingual"),
        ([], [], [], "Unknown"),
        (["unknown"], [], [], "Unknown"),
        ([False], [], [], "Unknown"),
    ],
)
def test_language_labels(languages: list[str], multilinguality: list[str], tasks: list[str], label: str) -> None:
    assert buckets.language_label(languages, multilinguality, tasks) == label


def test_shown_names() -> None:
    assert buckets.task_label(["text2text-generation", "other"]) == "Text2text Generation"
    assert buckets.task_label([]) == "Other"
    assert buckets.modality_label(["modality:3d"]) == "3d"
    assert buckets.modality_label([], ["visual-question-answering"]) == "Image"
    assert buckets.modality_label([], ["automatic-speech-recognition"]) == "Audio"
    assert buckets.modality_label([], ["question-answering"]) == "Text"
    assert buckets.modality_label([], ["robotics"]) == "Other"
    assert buckets.display("not_stated") == "Not Stated"
    assert buckets.display("3d-and-simulation") == "3d And Simulation"


anything = st.lists(st.none() | st.integers() | st.text(max_size=30), max_size=4)


@given(anything, anything, anything)
def test_odd_tags_never_raise(one: list[object], two: list[object], three: list[object]) -> None:
    assert buckets.language_label(one, two, three)  # type: ignore[arg-type]
    assert buckets.size_category(one) in (*buckets.SIZES, "Unknown")  # type: ignore[arg-type]
    assert buckets.task_label(one)  # type: ignore[arg-type]
    assert buckets.modality_label(one, two)  # type: ignore[arg-type]
    assert buckets.license_family(one) in LICENSE_FAMILIES  # type: ignore[arg-type]


@pytest.mark.skipif(not ROWS.exists(), reason="../shared/corpus is not on this machine")
def test_the_names_are_those_of_the_published_map() -> None:
    with gzip.open(ROWS, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    assert {row["size"] for row in rows} <= {*buckets.SIZES, "Unknown"}
    assert {row["license_family"] for row in rows} <= LICENSE_FAMILIES
    shown = {buckets.display(slug) for slug in load().field("subject_domain").names}
    assert {row["reference"]["subject_domain"] for row in rows} <= shown
    codes = ("en", "zh", "ko", "ja", "ru", "ar", "vi", "tr", "pt", "fr", "es", "de", "fa", "th", "da", "it", "bn")
    names = {buckets.language_label([code]) for code in codes}
    assert names <= {row["language"] for row in rows}
    assert all(re.fullmatch(r"\S.*\S", buckets.task_label([row["task"].lower().replace(" ", "-")])) for row in rows)
