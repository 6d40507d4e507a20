"""Static embedding models in model2vec's format: from a folder, or from the Hub."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np

from engine.errors import ServiceDownError, UsageError
from engine.providers.base import Access, Embedded
from engine.providers.static import MAX_CHARS, embedding_text
from engine.text import short
from taxonomy.card import CardInput

BATCH_SIZE = 96


class Model2VecEmbedder:
    """Embeds on this machine with a static model; `repo` is a folder, or a repository on the Hub.

    The model is read, and fetched if need be, at the first use. A folder's model is named after the folder and known
    by its content, so it may be moved; one from the Hub is known by its repository and taken from the cache if it is
    there. `dimensions` is 0 until it is read.

    Raises:
        UsageError: the package model2vec is not installed.
    """

    provider = "model2vec"
    batch_size = BATCH_SIZE
    paid = False
    remote = False
    libraries: tuple[str, ...] = ()

    def __init__(self, repo: str) -> None:
        if importlib.util.find_spec("model2vec") is None:
            raise UsageError(
                "Static models need the package model2vec, which is not installed.",
                hint="pip install 'hfmap[model2vec]' (with uv: uv tool install 'hfmap[model2vec]').",
            )
        folder = Path(repo).expanduser()
        self._source = str(folder) if folder.is_dir() else repo
        self._digest = fingerprint(folder) if folder.is_dir() else None
        self._model: Any = None
        self._loading = anyio.Lock()
        self.model = folder.absolute().name if folder.is_dir() else repo
        self.dimensions = 0

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What a vector depends on besides text and model."""
        known = {"model": self._digest} if self._digest else {}
        return {"characters": MAX_CHARS, "text": "stripped", **known}

    def text(self, card: CardInput) -> str:
        """Return what of a card is embedded."""
        return embedding_text(card.title, card.tags, card.text)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed texts in a thread; see `Embedder`. A text without a known word gets the zero vector.

        Raises:
            ServiceDownError: the model cannot be read or fetched.
        """
        async with self._loading:
            if self._model is None:
                self._model = await anyio.to_thread.run_sync(self._load)
                self.dimensions = int(self._model.dim)
        vectors = await anyio.to_thread.run_sync(self._model.encode, list(texts))
        return Embedded(np.asarray(vectors, dtype=np.float32))

    def _load(self) -> Any:
        from model2vec import StaticModel

        try:
            return StaticModel.from_pretrained(self._source, force_download=False)
        except Exception as error:  # whatever the Hub's client, the tokenizer and the reader of weights may raise
            raise ServiceDownError(
                f"The static model {self._source} cannot be read: {short(error)}",
                hint="Name a folder or a repository on the Hub that holds one: --embedder model2vec:REPO.",
            ) from error

    async def aclose(self) -> None:
        """Nothing is open."""


def embedder(access: Access) -> Model2VecEmbedder:
    """Make the embedder; see `engine.providers`."""
    return Model2VecEmbedder(access.rest)


def fingerprint(folder: Path) -> str:
    """Name the content of a model's folder: SHA-256 over its weights, tokenizer and configuration, 16 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in {".safetensors", ".json"} and p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
