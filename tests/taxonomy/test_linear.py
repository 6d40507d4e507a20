"""The linear model that ships: its weights fit the taxonomy, and it says no more than it knows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.card import CardInput
from taxonomy.keyless import lexicon, linear, rules, summary
from taxonomy.keyless.rules import extract
from taxonomy.model import PACKAGED, load

SPEECH = (
    "Sixty hours of read speech by volunteers with transcripts. The recordings were made at home.\n\n"
    "Speech recognition systems are trained on the audio and its transcriptions."
)


def seen(text: str, title: str = "") -> linear.CardFeatures:
    return linear.features(title, (), text, lexicon.score(load(), title, (), text))


def test_the_weights_are_small_and_speak_the_taxonomys_language() -> None:
    assert linear.WEIGHTS.stat().st_size < 1_000_000
    for name, columns in linear.load().columns.items():
        assert set(columns) <= set(lexicon.slugs_of(load().field(name)))
    assert set(summary.shipped_weights()) == set(summary.FEATURES)


@given(st.text(max_size=300))
def test_probabilities_add_up_to_one(text: str) -> None:
    for slugs in linear.load().probabilities(seen(text)).values():
        assert sum(slugs.values()) == pytest.approx(1)


def test_a_clear_text_is_told() -> None:
    found = linear.load().probabilities(seen(SPEECH, "Voices"))
    assert max(found["subject_domain"], key=lambda slug: found["subject_domain"][slug]) == "speech-and-audio"


def test_the_telling_sentence_is_one_of_the_text() -> None:
    card = seen("Nothing of note is written here at all. " + SPEECH)
    place = linear.load().telling(card, "subject_domain", "speech-and-audio")
    assert place is not None
    assert "speech" in card.text[slice(*place)].lower()


def test_a_card_of_a_few_words_is_left_to_the_rules() -> None:
    found = extract(CardInput("Updated in May.", "v2"), load())
    assert found["format_convention"].value == "not_stated"


def test_a_taxonomy_with_other_slugs_is_not_answered_with_ours(tmp_path: Path) -> None:
    content = json.loads(PACKAGED.read_text(encoding="utf-8"))
    field = next(f for f in content["fields"] if f["name"] == "subject_domain")
    field["slugs"] = {"sounds": "Speech, audio and recordings.", "pictures": "Images.", "not_stated": "Silent."}
    path = tmp_path / "own.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    found = extract(CardInput(SPEECH, "Voices"), load(path))
    assert found["subject_domain"].value == "sounds"
    assert found["format_convention"].value == "audio-transcript"


def test_numpy_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, taxonomy.keyless.rules; print('numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_the_same_card_gives_the_same_values() -> None:
    card = CardInput(SPEECH, "Voices", ("task_categories:automatic-speech-recognition",))
    first = dict(extract(card, load()))
    rules._stripped.cache_clear()
    assert dict(extract(card, load())) == first


LINES = [
    ("We collected a dataset of 900 owl calls from Norway and Sweden.", "Dataset of 900 owl calls"),
    ("OwlNet is a corpus of 900 recorded owl calls from Norway and Sweden.", "900 recorded owl calls"),
    ("The OwlNet corpus (ON) consists of 900 recorded owl calls from Norway.", "900 recorded owl calls"),
]


@pytest.mark.parametrize(("sentence", "opening"), LINES)
def test_a_sentence_is_rewritten_to_open_with_what_the_records_are(sentence: str, opening: str) -> None:
    found = summary.candidates(sentence, "OwlNet")
    assert found
    assert found[0].line.lower().startswith(opening.lower().removeprefix("dataset of "))


@pytest.mark.parametrize(
    "sentence",
    [
        "You can download the recordings of all owls from the project page.",
        "Please cite our paper on owl calls if you use these recordings.",
        "The recordings are released under the MIT license for any use.",
        "This dataset card describes the recordings of owls in the north.",
    ],
)
def test_sentences_about_getting_or_citing_the_data_are_no_summaries(sentence: str) -> None:
    assert summary.candidates(sentence, "Owls") == []


def test_what_stripping_leaves_behind_is_tidied() -> None:
    found = summary.candidates("Hooting () recorded over 900 nights \\ in Norway, Sweden and Finland,.", "Owls")
    assert found[0].line == "Hooting recorded over 900 nights in Norway, Sweden and Finland."
