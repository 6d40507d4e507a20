"""The embedder that needs nobody: a table with one vector per word piece, which ships with hfmap.

A text's vector is the weighted sum of the rows of its word pieces. The table was distilled from a sentence
transformer and tuned on dataset cards (`static_table/MODEL_CARD.md`); it never changes within a version, so neither
do the vectors: a refresh moves nothing. No network, no neural network, no training at run time.

All sums are of whole numbers below 2**53, which floating point adds without rounding in whatever order: the same text
has the same bits in every batch, on every machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from engine.errors import ProviderError
from engine.providers.base import Access, Embedded
from taxonomy.card import CardInput
from taxonomy.cardtext import strip
from taxonomy.keyless.digest import text_digest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TABLE = Path(__file__).with_name("static_table")

MODEL = "hfmap-static-256"
DIMENSIONS = 256

MAX_CHARS = 1500
"""Characters of a stripped card that are embedded; more do no better (benchmarks/keyless.py)."""

_RAW_SHARE = 40
"""Raw characters that are stripped for each one that is embedded."""

HALF = 60
"""A word piece at position p counts 1 / (1 + p/60): what a card says first says most about it. Half after 60 pieces;
measured beside 30, 100 and 200."""

_UNIT = 4096
"""Counts and their logarithms are held in units of 1/4096."""

_MOST = 65_536
"""Word pieces of a text that are looked at; keeps every sum below 2**53."""

_BATCH = 256
"""Texts tokenized at a time: bounds the memory of a large call."""


def embedding_text(title: str, tags: Sequence[str], body: str, cut: int | None = MAX_CHARS) -> str:
    """What of a card is embedded: its title, its tags and its text without boilerplate, 1,500 characters in all.

    Args:
        title: the pretty name, or the repository's name.
        tags: tasks and free tags; those that say nothing of the content (languages, sizes, …) are left out.
        body: the card after its front matter.
        cut: characters that are kept; None keeps all.
    """
    # Bounds what a card of megabytes costs; so much raw text nearly always holds the cut of stripped text.
    if cut is not None:
        body = body[: cut * _RAW_SHARE]
    telling = (tag.removeprefix("task_categories:").removeprefix("task_ids:") for tag in tags)
    head = [title.strip(), ", ".join(tag for tag in telling if not _UNTELLING.fullmatch(tag))]
    return "\n".join([*(part for part in head if part), strip(body, cut)])[:cut].strip()


#: Tags on language, size, origin and format of files: many datasets of every subject share them.
_UNTELLING = re.compile(
    r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*|[^,]{0,8}n\s*[<>][^,]{0,8}|(?:mono|multi)lingual|translation|unknown|original|other"
    r"|(?:language|license|size_categories|region|arxiv|doi|format|library|multilinguality|source_datasets):.*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class VectorTable:
    """The loaded table. `rows`: int8, (pieces, 256). `scales`: uint16, (pieces,), 0 for stop words."""

    rows: NDArray[np.int8]
    scales: NDArray[np.uint16]
    tokenizer: Tokenizer


class StaticEmbedder:
    """Embeds on this machine, free of charge. The table is read at the first use, not before.

    Also serves where Toponymy wants an embedder: `encode`. `folder` holds the table.
    """

    provider = "local"
    model = MODEL
    dimensions = DIMENSIONS
    batch_size = 96
    paid = False
    remote = False
    libraries: tuple[str, ...] = ()

    def __init__(self, folder: Path = TABLE) -> None:
        self._folder = folder

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The table's fingerprint, the cut, and how a card's text is made ready."""
        return {
            "table": description(self._folder)["sha256"],
            "characters": MAX_CHARS,
            "text": text_digest(embedding_text),
        }

    def text(self, card: CardInput) -> str:
        """Return what is embedded of a card; see `embedding_text`."""
        return embedding_text(card.title, card.tags, card.text)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed texts in a thread: float32, (texts, 256).

        Raises:
            ProviderError: the table that ships with hfmap is missing or damaged.
        """
        return Embedded(await anyio.to_thread.run_sync(self.encode, list(texts)))

    def encode(
        self,
        texts: Sequence[str],
        show_progress_bar: bool | None = None,  # noqa: ARG002  (Toponymy passes it)
        **_: Any,
    ) -> NDArray[np.float32]:
        """Embed texts: float32, (texts, 256), rows of length 1.

        A text without a known word that means something (empty, stop words alone) gets the zero vector.

        Raises:
            ProviderError: the table that ships with hfmap is missing or damaged.
        """
        table = load(self._folder)
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for start in range(0, len(texts), _BATCH):
            # A lone surrogate cannot be handed to the tokenizer.
            batch = [text.encode("utf-8", "replace").decode("utf-8") for text in texts[start : start + _BATCH]]
            for row, encoding in enumerate(table.tokenizer.encode_batch_fast(batch, add_special_tokens=False), start):
                vectors[row] = _vector(table, encoding.ids)
        return vectors

    async def aclose(self) -> None:
        """Nothing is open."""


def embedder(access: Access) -> StaticEmbedder:  # noqa: ARG001
    """Make the embedder, which needs nothing; see `engine.providers`."""
    return StaticEmbedder()


def _vector(table: VectorTable, ids: list[int]) -> NDArray[np.float64]:
    """The weighted sum of the rows, at length 1; zero where no piece has a weight."""
    pieces, weights = piece_weights(ids)
    total = (weights * table.scales[pieces]) @ table.rows[pieces].astype(np.float64)
    length = math.sqrt(math.fsum(total * total))
    return total / length if length else total


def piece_weights(ids: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The distinct pieces of a text, ascending, and log(1 + count) of each in whole units of 1/4096.

    An early occurrence counts 1, later ones less and less.
    """
    ids = ids[:_MOST]
    pieces, where = np.unique(np.asarray(ids, np.intp), return_inverse=True)
    counts = np.bincount(where, weights=_positions(len(ids)), minlength=len(pieces))
    return pieces, np.rint(np.log1p(counts / _UNIT) * _UNIT)


def _positions(length: int) -> NDArray[np.float64]:
    """What each position counts, in whole units of 1/4096."""
    return np.rint(_UNIT / (1 + np.arange(length) / HALF))


@lru_cache(maxsize=4)
def description(folder: Path = TABLE) -> Mapping[str, Any]:
    """What is said of the table: `sha256`, `pieces`, `dimensions`; without reading it.

    Raises:
        ProviderError: it is missing or damaged.
    """
    try:
        content: dict[str, Any] = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _broken(error) from error
    return content


@lru_cache(maxsize=4)
def load(folder: Path = TABLE) -> VectorTable:
    """Read the table and its word pieces; a tenth of a second, once.

    Raises:
        ProviderError: it is missing or damaged.
    """
    try:
        raw = (folder / "table.npz").read_bytes()
        pieces = (folder / "pieces.txt").read_bytes()
        fingerprint = hashlib.sha256(raw + pieces).hexdigest()
        if fingerprint != description(folder)["sha256"]:
            raise ValueError("its fingerprint is not the one in table.json")
        return _table(raw, pieces.decode("utf-8").split("\n"))
    except (OSError, ValueError, KeyError) as error:
        raise _broken(error) from error


def _table(raw: bytes, pieces: Sequence[str]) -> VectorTable:
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        rows, scales = arrays["rows"], arrays["scales"]
    if rows.shape != (len(pieces), DIMENSIONS) or scales.shape != (len(pieces),):
        raise ValueError(f"shapes {rows.shape} and {scales.shape} for {len(pieces)} word pieces")
    return VectorTable(rows, scales, tokenizer_of(pieces))


def tokenizer_of(pieces: Sequence[str]) -> Tokenizer:
    """The tokenizer of a list of word pieces, `[UNK]` among them: lower case, no accents, longest piece first."""
    # Imported late: commands that embed nothing start without them.
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def _broken(error: Exception) -> ProviderError:
    return ProviderError(f"The table of the local embedder cannot be read: {error}.", hint="Install hfmap again.")
