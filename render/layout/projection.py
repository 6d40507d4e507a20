"""UMAP projection of vectors to the plane, fed with exact neighbours."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.vectors import FloatMatrix, unit_rows
from render.layout.neighbors import IntMatrix
from render.layout.neighbors import cosine_knn as exact
from render.layout.neighbors import knn as search
from render.libraries import heavy, keep_compiled

# The published map's values (UMAP parameters of stevenfazzio/huggingface-dataset-map).
N_NEIGHBORS = 15
MIN_DIST = 0.05
METRIC = "cosine"
RANDOM_STATE = 42

# A map that is laid out again is near its optimum: full steps (1.0) from there move kept points by .05 of the
# diameter, these by .007 to .03, at equal trustworthiness (real, clustered and generated vectors, a quarter of them changed).
_WARM_RATE = 0.05
_WARM_EPOCHS = 200

_SMALL = 16
# Below this a spectral start can fall on an eigenvector by symmetry, and then restarts from an unseeded one.
_SPECTRAL = 128
_EXTENT = 10.0


def project(
    vectors: FloatMatrix,
    knn: tuple[IntMatrix, FloatMatrix],
    *,
    init: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Coordinates of every row, float64, shape (n, 2), always finite.

    The same vectors, neighbours and `init` give the same coordinates on the same machine: the seed is fixed,
    so UMAP runs in one thread.

    Args:
        vectors: shape (n, d).
        knn: indices and distances of the nearest rows, itself first, at least min(15, n) of them.
        init: shape (n, 2), coordinates to start from instead of the spectral embedding.
    """
    n = len(vectors)
    if n == 0:
        return np.zeros((0, 2))
    if n <= _SMALL:
        return _few(knn)
    first, member = duplicates(vectors)
    if len(first) == n:
        return _umap(vectors, knn, init)
    # Many equal rows make the graph so regular that the spectral start depends on chance, and their
    # neighbours would be nothing but each other: they are laid out as one, then set side by side.
    distinct = vectors[first]
    if len(first) <= _SMALL:
        plane = _few(exact(distinct, len(first)))
    else:
        plane = _umap(distinct, search(distinct, N_NEIGHBORS), None if init is None else init[first])
    return plane[member] + _spread(member)


def compile_ahead() -> None:
    """Import what lays a map out anew and groups it, and have it compiled, by laying out a small one."""
    for name in ("umap", "scipy.optimize", "scipy.spatial", "sklearn.cluster"):
        heavy(name)
    vectors = np.random.default_rng(0).normal(size=(_SPECTRAL + 2, 8)).astype(np.float32)
    project(vectors, exact(vectors, N_NEIGHBORS + 1))


def duplicates(vectors: FloatMatrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that point the same way: the first row of each kind, in order, and every row's kind."""
    unit = np.ascontiguousarray(unit_rows(vectors) + np.float32(0))  # -0.0 becomes 0.0
    kinds: dict[bytes, int] = {}
    member = np.array([kinds.setdefault(row.tobytes(), len(kinds)) for row in unit], dtype=np.int64)
    first = np.unique(member, return_index=True)[1]
    return first, member


def _spread(member: NDArray[np.int64]) -> NDArray[np.float64]:
    """Offsets that set equal rows apart as the seeds of a sunflower are, about MIN_DIST from each other."""
    seen: dict[int, int] = {}
    places = np.empty(len(member))
    for row, kind in enumerate(member.tolist()):
        places[row] = seen[kind] = seen.get(kind, -1) + 1
    radii, angles = MIN_DIST * np.sqrt(places), places * np.pi * (3 - np.sqrt(5))
    return np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])


def _umap(
    vectors: FloatMatrix, knn: tuple[IntMatrix, FloatMatrix], init: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    umap = _umap_library()
    n = len(vectors)
    indices, distances = knn
    neighbors = min(N_NEIGHBORS, n - 1)
    start = "random" if min(vectors.shape) < 2 else "spectral" if n >= _SPECTRAL else "pca"
    with warnings.catch_warnings():
        # UMAP warns of the lacking search index, of one thread under a seed and of a spectral start that
        # does not converge (it then starts at random); none is a matter for whoever runs hfmap.
        warnings.simplefilter("ignore")
        model = umap.UMAP(
            n_neighbors=neighbors,
            min_dist=MIN_DIST,
            metric=METRIC,
            random_state=RANDOM_STATE,
            n_jobs=1,
            init=start if init is None else init.astype(np.float32),
            n_epochs=None if init is None else 0,
            precomputed_knn=(indices[:, :neighbors].copy(), distances[:, :neighbors].copy()),
        )
        fitted = model.fit_transform(vectors)
        plane = np.asarray(fitted if init is None else _go_on(model, init), dtype=np.float64)
    return lying(_finite(plane)) if init is None else _finite(plane)


def lying(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """A layout, float64, shape (n, 2), turned so that it is wider than high, as the windows are that show it.

    UMAP's directions mean nothing: its principal axis becomes the horizontal one. Distances, and which side of a
    line a point is on, stay.
    """
    centred = plane - plane.mean(axis=0)
    (along_x, along_y) = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    if along_x < 0:  # the axis has two directions: the one that turns the layout least
        along_x, along_y = -along_x, -along_y
    turned: NDArray[np.float64] = centred @ np.array([[along_x, -along_y], [along_y, along_x]])
    return turned


def _go_on(model: Any, init: NDArray[np.float64]) -> NDArray[np.float32]:
    """Optimize a layout from where it is. UMAP itself would press it into a square before it does."""
    library = heavy("umap.umap_")
    graph = model.graph_.tocoo()
    # Edges that would not be drawn once in all epochs, as in UMAP.
    graph.data[graph.data < graph.data.max() / _WARM_EPOCHS] = 0
    graph.eliminate_zeros()
    state = np.random.RandomState(RANDOM_STATE).randint(library.INT32_MIN, library.INT32_MAX, 3).astype(np.int64)
    plane = np.array(init, dtype=np.float32, order="C")
    moved: NDArray[np.float32] = heavy("umap.layouts").optimize_layout_euclidean(
        plane,
        plane,
        graph.row,
        graph.col,
        _WARM_EPOCHS,
        len(plane),
        library.make_epochs_per_sample(graph.data, _WARM_EPOCHS),
        *library.find_ab_params(model.spread, MIN_DIST),
        state,
        gamma=model.repulsion_strength,
        initial_alpha=_WARM_RATE,
        negative_sample_rate=model.negative_sample_rate,
        parallel=False,
    )
    return moved


def _few(knn: tuple[IntMatrix, FloatMatrix]) -> NDArray[np.float64]:
    """A layout for so few points that UMAP has nothing to learn from: on a circle, like beside like.

    The order round the circle is a walk from each point to the nearest one not yet visited.
    """
    indices, _ = knn
    n = len(indices)
    if n == 1:
        return np.zeros((1, 2))
    order, left = [0], set(range(1, n))
    while left:
        last = order[-1]
        following = next((int(j) for j in indices[last] if int(j) in left), min(left))
        order.append(following)
        left.remove(following)
    plane = np.zeros((n, 2))
    angles = 2 * np.pi * np.arange(n) / n
    plane[order] = np.column_stack([np.cos(angles), np.sin(angles)]) * _EXTENT / 4
    return plane


def _umap_library() -> Any:
    """UMAP, with what it compiles kept on disk: that takes 5 of a cold fit's 8 seconds, in every process."""
    umap = heavy("umap")
    for module in ("umap.umap_", "umap.layouts"):
        keep_compiled(heavy(module))
    return umap


def _finite(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points without finite coordinates (vertices that UMAP cut off) go to the middle of the others."""
    good = np.isfinite(plane).all(axis=1)
    if good.all():
        return plane
    middle = np.median(plane[good], axis=0) if good.any() else np.zeros(2)
    plane[~good] = middle
    return plane
