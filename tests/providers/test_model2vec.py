"""Static models in model2vec's format: a tiny one is made on disk."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from engine.errors import ServiceDownError, UsageError
from engine.providers.model2vec import Model2VecEmbedder
from tests.conftest import Run
from tests.services import Services, generated_cards

Rows = Callable[..., list[tuple[Any, ...]]]

WORDS = ("[UNK]", "[PAD]", "birds", "forest", "law", "court", "robot", "arm", "speech", "voice")
DIMENSIONS = 24


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A static model of ten words, saved as the library saves one."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.random.default_rng(5).standard_normal((len(WORDS), DIMENSIONS)).astype(np.float32)
    folder = tmp_path / "tiny-model"
    StaticModel(vectors, tokenizer, normalize=True).save_pretrained(str(folder))
    return folder


def test_vectors_of_a_folder(model: Path) -> None:
    embedder = Model2VecEmbedder(str(model))
    assert (embedder.provider, embedder.model, embedder.paid, embedder.remote) == (
        "model2vec",
        model.name,
        False,
        False,
    )
    texts = ["birds of the forest", "law and court", "forest birds"]
    first = anyio.run(embedder.embed, texts).vectors
    assert first.shape == (3, DIMENSIONS)
    assert first.dtype == np.float32
    assert embedder.dimensions == DIMENSIONS
    np.testing.assert_array_equal(first, anyio.run(Model2VecEmbedder(str(model)).embed, texts).vectors)
    assert first[0] @ first[2] > first[0] @ first[1]


def test_a_folder_is_known_by_what_is_in_it(model: Path, tmp_path: Path) -> None:
    before = Model2VecEmbedder(str(model)).parameters
    moved = shutil.copytree(model, tmp_path / "elsewhere" / model.name)
    assert Model2VecEmbedder(str(moved)).parameters == before
    assert Model2VecEmbedder(str(moved)).model == model.name
    weights = moved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    assert Model2VecEmbedder(str(moved)).parameters != before


def test_a_model_that_cannot_be_read_ends_it(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ServiceDownError, match="cannot be read"):
        anyio.run(Model2VecEmbedder(str(empty)).embed, ["birds"])


def test_without_the_package_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="not installed") as caught:
        Model2VecEmbedder("some/model")
    assert "hfmap[model2vec]" in (caught.value.hint or "")


def test_a_whole_run(run_hfmap: Run, rows: Rows, model: Path) -> None:
    with Services(generated_cards(20)) as services:
        env = {"HF_ENDPOINT": services.env["HF_ENDPOINT"]}
        flags = ["--no-map", "--embedder", f"model2vec:{model}"]
        run_hfmap("sync", *flags, env=env)
        assert rows("SELECT dimensions, count(*) FROM embedding GROUP BY 1") == [(DIMENSIONS, 20)]
        assert rows("SELECT provider, model FROM spec WHERE stage = 'embed'") == [("model2vec", model.name)]
        assert rows("SELECT count(*) FROM call") == [(0,)]
        run_hfmap("sync", *flags, env=env)
        assert rows("SELECT count(*) FROM embedding") == [(20,)]
        done = run_hfmap("sync", "--no-map", "--embedder", f"model2vec:{model / 'no'}", env=env, code=3)
        assert "cannot be read" in done.stderr
