"""Exact nearest neighbours by cosine distance.

A blocked matrix product gives every similarity; each row is then cut into short stretches, and only the
stretches whose best entry is among the k best stretches can hold one of the k nearest. That leaves about a
thousandth of the comparisons to the sorting step.

Distances are multiples of 2**-20. A product of the same two vectors can differ in the last bit with the
place it has in a block; rounding makes duplicates equal, and equals are ordered by their row.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from engine.vectors import FloatMatrix, unit_rows
from render.libraries import heavy

IntMatrix = NDArray[np.int32]

# Exact neighbours take 90 seconds at 100,000 rows of 512 numbers on two cores, and four times that at twice as many.
MOST_EXACT = 150_000

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
