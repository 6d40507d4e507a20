"""The local embedder: what it promises about its vectors, and what it must not need."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ProviderError
from engine.providers import static
from engine.providers.static import StaticEmbedder, embedding_text
from taxonomy.card import CardInput

TEXTS = [
    "Hours of read speech with transcripts for speech recognition",
    "Audio recordings of speakers, transcribed for training recognizers",
    "Python functions with docstrings taken from public repositories",
    "Unit tests and source code for program repair in Java",
    "Chest X-ray images labelled by radiologists",
]


def test_rows_have_length_one_and_shape() -> None:
    vectors = StaticEmbedder().encode(TEXTS, show_progress_bar=False)
    assert vectors.shape == (5, 256)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_like_things_lie_together() -> None:
    vectors = StaticEmbedder().encode(TEXTS)
    similar = vectors @ vectors.T
    assert similar[0, 1] > max(similar[0, 2:])
    assert similar[2, 3] > max(similar[2, [0, 1, 4]])


@pytest.mark.anyio
async def test_embed_is_encode() -> None:
    embedder = StaticEmbedder()
    embedded = await embedder.embed(TEXTS)
    assert np.array_equal(embedded.vectors, embedder.encode(TEXTS))
    assert embedded.usage.input == 0
    await embedder.aclose()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_vector_does_not_depend_on_its_batch() -> None:
    embedder = StaticEmbedder()
    many = [f"{text} {number}" for number in range(120) for text in TEXTS]
    together = embedder.encode(many)
    assert np.array_equal(together[7], embedder.encode([many[7]])[0])
    assert np.array_equal(together[::-1], embedder.encode(many[::-1]))


def test_two_processes_give_the_same_bits() -> None:
    code = (
        "import hashlib, sys; from engine.providers.static import StaticEmbedder\n"
        "print(hashlib.sha256(StaticEmbedder().encode(sys.argv[1:]).tobytes()).hexdigest())"
    )
    ran = subprocess.run([sys.executable, "-c", code, *TEXTS], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == hashlib.sha256(StaticEmbedder().encode(TEXTS).tobytes()).hexdigest()


def test_importing_reads_no_table_and_needs_no_neural_network() -> None:
    code = (
        "import sys; from engine.providers import static\n"
        "assert static.load.cache_info().currsize == 0 and 'tokenizers' not in sys.modules\n"
        "static.StaticEmbedder().encode(['a text'])\n"
        "print(sorted({'torch', 'transformers', 'sklearn', 'scipy', 'huggingface_hub'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["", " \n\t", "the of and", "...", "\ud800"])
def test_a_text_that_says_nothing_is_zero(text: str) -> None:
    assert not StaticEmbedder().encode([text]).any()


def test_no_texts_give_no_rows() -> None:
    assert StaticEmbedder().encode([]).shape == (0, 256)


@given(st.lists(st.text(st.characters(), max_size=400), max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_text_has_a_vector(texts: list[str]) -> None:
    vectors = StaticEmbedder().encode(texts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.isfinite(vectors).all()
    assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all()


def test_what_is_embedded_of_a_card() -> None:
    body = "# Birds\n\n## Citation\n\n@inproceedings{birds}\n\n## Songs\n\nFour thousand songs of birds. "
    body += "Long. " * 900
    tags = ("task_categories:audio-classification", "language:en", "size_categories:1K<n<10K", "ornithology")
    card = CardInput(body, "Birds of Britain", tags)
    text = StaticEmbedder().text(card)
    assert text.startswith("Birds of Britain\naudio-classification, ornithology\n")
    assert "Four thousand songs" in text
    assert "inproceedings" not in text
    assert len(text) <= static.MAX_CHARS
    assert embedding_text("", (), "") == ""


@pytest.mark.parametrize(
    "tag",
    ["en", "zh-CN", "language:sw", "1M<n<10M", "n<1K", "monolingual", "license:mit", "region:us", "arxiv:1606.05250"],
)
def test_tags_that_say_nothing_of_the_content_are_left_out(tag: str) -> None:
    assert embedding_text("Title", [tag], "") == "Title"


def test_parameters_name_the_table() -> None:
    table = static.TABLE
    fingerprint = hashlib.sha256((table / "table.npz").read_bytes() + (table / "pieces.txt").read_bytes()).hexdigest()
    assert StaticEmbedder().parameters["table"] == fingerprint


def test_the_table_is_small_and_documented() -> None:
    files = {file.name: file.stat().st_size for file in static.TABLE.iterdir()}
    assert sum(files.values()) <= 9_000_000
    assert {"table.npz", "pieces.txt", "table.json", "MODEL_CARD.md", "LICENSE", "NOTICE"} <= set(files)
    assert static.description()["sha256"][:12] in (static.TABLE / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_damaged_table_is_a_sentence(tmp_path: Path) -> None:
    for file in static.TABLE.iterdir():
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[:-1] if file.name == "table.npz" else content)
    with pytest.raises(ProviderError, match="fingerprint"):
        StaticEmbedder(tmp_path).encode(["a text"])


def test_a_missing_table_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="cannot be read"):
        _ = StaticEmbedder(tmp_path).parameters
