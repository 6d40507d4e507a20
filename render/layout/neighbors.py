"""Nearest neighbours by cosine distance, and how many of them a layout keeps.

A blocked matrix product gives every similarity; each row is then cut into short stretches, and only the
stretches whose best entry is among the k best stretches can hold one of the k nearest. That leaves about a
thousandth of the comparisons to the sorting step.

Distances are multiples of 2**-20. A product of the same two vectors can differ in the last bit with the
place it has in a block; rounding makes duplicates equal, and equals are ordered by their row.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.vectors import FloatMatrix, unit_rows
from render.libraries import heavy

IntMatrix = NDArray[np.int32]

# Exact neighbours take 90 seconds at 100,000 rows of 512 numbers on two cores, and four times that at twice as many.
MOST_EXACT = 150_000

# Neighbours by which a layout is measured; 15 as in the published map's UMAP.
MEASURED = 15
# So many points, evenly spread over the rows, stand for all: the error of the means is then below .01.
_SAMPLE = 2000

_STEPS = 1 << 20
_STRETCH = 64
_BLOCK_BYTES = 48 << 20


def cosine_knn(vectors: FloatMatrix, k: int) -> tuple[IntMatrix, FloatMatrix]:
    """The k nearest rows of every row, itself first.

    Args:
        vectors: shape (n, d). Zero vectors are at distance 1 from all others and 0 from each other.
        k: how many, the row itself counted; cut to n.

    Returns:
        Indices and cosine distances in [0, 2], both of shape (n, min(k, n)), nearest first, equals by index;
        column 0 is the row itself at distance 0.
    """
    unit = unit_rows(vectors)
    return _search(unit, unit, k, own=np.arange(len(unit)))


def knn(vectors: FloatMatrix, k: int) -> tuple[IntMatrix, FloatMatrix]:
    """`cosine_knn`, or `approximate_knn` where exactness would take longer than a person waits."""
    return cosine_knn(vectors, k) if len(vectors) <= MOST_EXACT else approximate_knn(vectors, k)


def approximate_knn(vectors: FloatMatrix, k: int) -> tuple[IntMatrix, FloatMatrix]:
    """As `cosine_knn`, by nearest-neighbour descent: near-linear in n, and about 95 % of the neighbours are right.

    Needs more rows than k. The same vectors give the same neighbours.
    """
    unit = unit_rows(vectors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # One thread: in several, the order of updates is left to chance.
        index = heavy("pynndescent").NNDescent(unit, metric="cosine", n_neighbors=k, random_state=42, n_jobs=1)
    indices, distances = (np.array(part) for part in index.neighbor_graph)
    # Where a row has duplicates, itself may stand behind them, or be missing.
    own = np.arange(len(unit))
    place = np.where(indices == own[:, None], 0, 1)
    place[(place == 1).all(axis=1), -1] = 0
    order = np.argsort(place, axis=1, kind="stable")
    indices, distances = np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)
    indices[:, 0], distances[:, 0] = own, 0.0
    return indices.astype(np.int32), np.clip(distances, 0.0, 2.0).astype(np.float32)


def nearest(
    queries: FloatMatrix, vectors: FloatMatrix, k: int, *, own: NDArray[np.int64] | None = None
) -> tuple[IntMatrix, FloatMatrix]:
    """The k rows of `vectors` nearest to every row of `queries`, as `cosine_knn` orders them.

    Args:
        queries: shape (m, d).
        vectors: shape (n, d).
        k: how many, cut to n.
        own: shape (m,), the place in `vectors` of each query, which then comes first at distance 0.

    Returns:
        Indices into `vectors` and distances, both of shape (m, min(k, n)).
    """
    return _search(unit_rows(queries), unit_rows(vectors), k, own=own)


def _search(
    queries: FloatMatrix, base: FloatMatrix, k: int, *, own: NDArray[np.int64] | None
) -> tuple[IntMatrix, FloatMatrix]:
    m, n = len(queries), len(base)
    k = max(min(k, n), 0)
    indices = np.zeros((m, k), dtype=np.int32)
    distances = np.zeros((m, k), dtype=np.float32)
    if k == 0:
        return indices, distances
    stretches = -(-n // _STRETCH)
    width = stretches * _STRETCH
    rows = max(1, _BLOCK_BYTES // (4 * width))
    zero_base = np.flatnonzero(~np.any(base, axis=1))
    zero_query = np.asarray(~np.any(queries, axis=1))
    similarity = np.full((min(rows, m), width), -3.0, dtype=np.float32)
    transposed = base.T
    for start in range(0, m, rows):
        stop = min(start + rows, m)
        block = similarity[: stop - start]
        np.matmul(queries[start:stop], transposed, out=block[:, :n])
        if len(zero_base):
            block[np.ix_(np.flatnonzero(zero_query[start:stop]), zero_base)] = 1.0
        if own is not None:
            # Above every true similarity, so that the row itself comes first among its duplicates.
            block[np.arange(stop - start), own[start:stop]] = 2.0
        indices[start:stop], steps = _best(block, k)
        if own is not None:
            steps[:, 0] = _STEPS
        distances[start:stop] = np.clip(1.0 - steps / _STEPS, 0.0, 2.0)
    return indices, distances


def _best(similarity: FloatMatrix, k: int) -> tuple[IntMatrix, NDArray[np.int64]]:
    """Columns and rounded similarities of the k best entries of each row; shape (rows, k) both."""
    rows, width = similarity.shape
    stretched = similarity.reshape(rows, width // _STRETCH, _STRETCH)
    peaks = _keys(stretched.max(axis=2), np.arange(stretched.shape[1]))
    kept = min(k, peaks.shape[1])
    if kept < peaks.shape[1]:
        peaks = np.partition(peaks, peaks.shape[1] - kept, axis=1)[:, -kept:]
    chosen = _columns(peaks)
    columns = (chosen[:, :, None] * _STRETCH + np.arange(_STRETCH)).reshape(rows, -1)
    entries = np.take_along_axis(stretched, chosen[:, :, None], axis=1).reshape(rows, -1)
    keys = _keys(entries, columns)
    if k < keys.shape[1]:
        keys = np.partition(keys, keys.shape[1] - k, axis=1)[:, -k:]
    keys = np.sort(keys, axis=1)[:, ::-1]
    return _columns(keys).astype(np.int32), (keys >> 32) + 1


def _keys(values: FloatMatrix, columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """One integer an entry that orders by rounded value, then by lower column."""
    steps = np.rint(values * np.float32(_STEPS)).astype(np.int64)
    keys: NDArray[np.int64] = (steps << 32) - columns - 1
    return keys


def _columns(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    return (-keys - 1) & 0xFFFFFFFF


def measure_layout(
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
    k = min(MEASURED, (n - 1) // 2)
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
