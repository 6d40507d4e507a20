"""Quality of a layout: trustworthiness, kNN preservation, subject purity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.vectors import FloatMatrix, unit_rows
from render.layout.neighbors import IntMatrix
from render.libraries import heavy

# Neighbours looked at; 15 as in the published map's UMAP.
K = 15
# So many points, evenly spread over the rows, stand for all: the error of the means is then below .01.
_SAMPLE = 2000


def measure(
    vectors: FloatMatrix, knn: IntMatrix, plane: NDArray[np.float64], labels: Sequence[str | None]
) -> dict[str, float]:
    """Trustworthiness, kNN preservation and subject purity of a layout, each 0 to 1 and rounded to 4 digits.

    Args:
        vectors: shape (n, d).
        knn: shape (n, k + 1), nearest rows by cosine distance, itself first.
        plane: shape (n, 2).
        labels: n subjects; purity is left out where fewer than two points have one.

    Returns:
        trustworthiness: Venna and Kaski's measure over the 15 nearest in the plane (1: none of them is far
        away among the vectors). knn_preservation: share of the 15 nearest by cosine that are among the 15
        nearest in the plane. subject_purity: share of the 15 nearest in the plane that have the same subject.
        Empty for fewer than 4 points.
    """
    n = len(plane)
    if n < 4:
        return {}
    k = min(K, (n - 1) // 2)
    rows = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64))
    near = _near_in_plane(plane, rows, k)
    measures = {
        "trustworthiness": _trustworthiness(vectors, rows, near),
        "knn_preservation": _overlap(knn[rows, 1 : k + 1], near),
    }
    codes = {label: code for code, label in enumerate(sorted({x for x in labels if x is not None}))}
    code = np.array([-1 if x is None else codes[x] for x in labels])
    same = (code[near] == code[rows][:, None]) & (code[near] >= 0)
    known = (code[near] >= 0) & (code[rows] >= 0)[:, None]
    if known.any():
        measures["subject_purity"] = float(same[known].mean())
    return {name: round(value, 4) for name, value in measures.items()}


def _near_in_plane(plane: NDArray[np.float64], rows: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The k nearest points in the plane to each of `rows`, itself left out; shape (rows, k)."""
    tree = heavy("scipy.spatial").cKDTree(plane)
    found = np.asarray(tree.query(plane[rows], k=k + 1)[1], dtype=np.int64)
    # Among points on one spot the point itself may stand anywhere, or not at all.
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True
    others: NDArray[np.int64] = found[~own].reshape(len(rows), k)
    return others


def _trustworthiness(vectors: FloatMatrix, rows: NDArray[np.int64], near: NDArray[np.int64]) -> float:
    n, k = len(vectors), near.shape[1]
    unit = unit_rows(vectors)
    penalty = 0
    for start in range(0, len(rows), 256):
        part, theirs = rows[start : start + 256], near[start : start + 256]
        similar = unit[part] @ unit.T
        np.put_along_axis(similar, part[:, None], -np.inf, axis=1)
        for column in range(k):
            value = np.take_along_axis(similar, theirs[:, column : column + 1], axis=1)
            rank = (similar > value + 1e-6).sum(axis=1) + 1
            penalty += int(np.maximum(rank - k, 0).sum())
    worst: float = len(rows) * k * (2 * n - 3 * k - 1) / 2
    return 1.0 - penalty / worst


def _overlap(a: NDArray[np.int32], b: NDArray[np.int64]) -> float:
    found = np.any(a[:, :, None] == b[:, None, :], axis=2)
    return float(found.mean(dtype=np.float64))
