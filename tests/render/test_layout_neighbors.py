"""Exact neighbours: against a plain computation, and on awkward input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.vectors import unit_rows
from render.layout.neighbors import approximate_knn, cosine_knn, nearest
from tests.render.database import blobs


def plain(vectors: np.ndarray, k: int) -> np.ndarray:
    unit = unit_rows(vectors).astype(np.float64)
    similar = unit @ unit.T
    zero = ~unit.any(axis=1)
    similar[np.ix_(zero, zero)] = 1.0
    steps = np.rint(similar * (1 << 20)).astype(np.int64)
    np.fill_diagonal(steps, 1 << 21)
    columns = np.arange(len(vectors))
    return np.array([np.lexsort((columns, -row))[:k] for row in steps])


@pytest.mark.parametrize(("n", "k"), [(1, 15), (2, 15), (3, 2), (64, 5), (65, 16), (700, 16)])
def test_equals_a_plain_computation(n: int, k: int) -> None:
    rng = np.random.default_rng(n)
    # Whole numbers, so that no two orders differ by rounding alone.
    vectors = rng.integers(-3, 4, size=(n, 12)).astype(np.float32)
    indices, distances = cosine_knn(vectors, k)
    assert indices.shape == distances.shape == (n, min(k, n))
    assert indices.dtype == np.int32
    assert distances.dtype == np.float32
    expected = plain(vectors, min(k, n))
    assert (indices == expected).mean() > 0.99
    assert (indices[:, 0] == np.arange(n)).all()
    assert (distances[:, 0] == 0).all()
    assert (np.diff(distances[:, 1:], axis=1) >= 0).all()


def test_duplicates_are_at_no_distance_and_in_order() -> None:
    vectors = np.tile(np.array([[0.3, 0.1, -0.7]], dtype=np.float32), (200, 1))
    indices, distances = cosine_knn(vectors, 4)
    assert (distances == 0).all()
    assert indices[0].tolist() == [0, 1, 2, 3]
    assert indices[150].tolist() == [150, 0, 1, 2]


def test_zero_vectors_are_far_from_all_but_each_other() -> None:
    vectors = np.eye(6, dtype=np.float32)
    vectors[[1, 4]] = 0
    indices, distances = cosine_knn(vectors, 3)
    assert indices[1].tolist() == [1, 4, 0]
    assert distances[1].tolist() == [0.0, 0.0, 1.0]


def test_numbers_that_are_not_finite_count_as_zero() -> None:
    vectors = np.array([[1, 0], [np.nan, 1], [np.inf, 1], [3e38, 1]], dtype=np.float32)
    _, distances = cosine_knn(vectors, 4)
    assert np.isfinite(distances).all()


def test_nearest_of_others() -> None:
    vectors = np.eye(4, dtype=np.float32)
    indices, distances = nearest(vectors[2:3] * 5, vectors, 2)
    assert indices[0, 0] == 2
    assert distances[0].tolist() == [0.0, 1.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 90), st.integers(1, 8), st.integers(1, 20), st.integers(0, 10))
def test_shape_and_order_hold_for_any_size(n: int, dimensions: int, k: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).integers(-1, 2, size=(n, dimensions)).astype(np.float32)
    indices, distances = cosine_knn(vectors, k)
    assert indices.shape == (n, min(k, n))
    assert all(len(set(row)) == len(row) for row in indices.tolist())
    assert ((distances >= 0) & (distances <= 2)).all()
    again = cosine_knn(vectors, k)
    assert np.array_equal(indices, again[0])
    assert np.array_equal(distances, again[1])


def test_approximate_neighbours_are_mostly_the_exact_ones() -> None:
    vectors = blobs(600, groups=6)
    vectors[:3] = vectors[0]
    vectors[10:12] = 0
    near, distances = approximate_knn(vectors, 16)
    exact, _ = cosine_knn(vectors, 16)
    assert near.shape == distances.shape == (600, 16)
    assert (near[:, 0] == np.arange(600)).all()
    assert (distances[:, 0] == 0).all()
    assert np.isfinite(distances).all()
    assert np.mean([len(set(a) & set(b)) / 16 for a, b in zip(near.tolist(), exact.tolist(), strict=True)]) > 0.85
    again, _ = approximate_knn(vectors, 16)
    assert np.array_equal(near, again)
