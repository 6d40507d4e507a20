"""The arithmetic of the local embedder's table: from a teacher's vectors to int8 rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 256
RIDGE = 1.0
IDF_POWER = 1.15
Matrix = NDArray[np.float64]


def counts(tokenizer: Any, texts: Sequence[str], pieces: int) -> Any:
    """log(1 + count) of each word piece: a sparse matrix, (texts, pieces)."""
    from scipy import sparse

    columns: list[NDArray[np.intp]] = []
    values: list[Matrix] = []
    ends = [0]
    for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
        ids, often = np.unique(np.asarray(encoding.ids, np.intp), return_counts=True)
        columns.append(ids)
        values.append(np.log1p(often))
        ends.append(ends[-1] + len(ids))
    parts = (np.concatenate(values), np.concatenate(columns), ends)
    return sparse.csr_matrix(parts, shape=(len(texts), pieces))


def projection(vectors: NDArray[np.float32]) -> tuple[Matrix, Matrix]:
    """The mean of the teacher's vectors and their 256 principal directions: (384,), (384, 256)."""
    wide = vectors.astype(np.float64)
    mean = wide.mean(0)
    directions = np.linalg.eigh(np.cov((wide - mean).T))[1][:, ::-1][:, :DIMENSIONS]
    # An eigenvector's sign is arbitrary: the largest part is made positive.
    largest = np.abs(directions).argmax(0)
    return mean, directions * np.sign(directions[largest, np.arange(DIMENSIONS)])


def piece_weights(x: Any, vocabulary: Sequence[str], stop_words: frozenset[str]) -> Matrix:
    """How much each word piece counts: its inverse document frequency; 0 for stop words, punctuation and markers."""
    seen = np.asarray((x > 0).sum(0)).ravel()
    idf = np.log((x.shape[0] + 1) / (seen + 1))
    idf = np.where(seen > 0, idf, np.median(idf[seen > 0])) ** IDF_POWER
    mute = [piece in stop_words or bool(re.fullmatch(r"[\W_]|\[[^\]]+\]", piece)) for piece in vocabulary]
    return np.where(mute, 0.0, idf)


def fitted(x: Any, targets: Matrix, prior: Matrix, weights: Matrix) -> Matrix:
    """Rows E, (pieces, 256), so that the sum of log(1 + count) · E points where the teacher's vectors do.

    Ridge regression towards the prior (the distilled rows, at the scale that fits best), solved in its dual form:
    there are far fewer texts than word pieces. Each text has the same say, however long it is.
    """
    from scipy import linalg, sparse

    weighted = x @ sparse.diags(weights)
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
    weighted = sparse.diags(1 / np.where(lengths, lengths, 1)) @ weighted
    first = weighted @ prior
    scale = (first * targets).sum() / (first * first).sum()
    gram = (weighted @ weighted.T).toarray()
    gram[np.diag_indices_from(gram)] += RIDGE
    correction = linalg.cho_solve(linalg.cho_factor(gram, overwrite_a=True), targets - scale * first)
    rows: Matrix = (scale * prior + weighted.T @ correction) * weights[:, None]
    return rows


def quantized(rows: Matrix) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
    """int8 rows and a uint16 scale for each, in units of the largest row's: rows ∝ scales · int8."""
    largest = np.abs(rows).max(1)
    scales = np.ceil(largest / largest.max() * 65_535).astype(np.uint16)
    unit = largest.max() / 65_535 / 127
    whole = rows / np.maximum(scales[:, None] * unit, 1e-300)
    return np.clip(np.rint(np.where(scales[:, None] > 0, whole, 0)), -127, 127).astype(np.int8), scales
