"""HDBSCAN clusters of a layout's points, in layers from coarse to fine."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.libraries import heavy

Labels = NDArray[np.int64]
"""One group a point, shape (n,): 0, 1, … in one layer; -1 where a point belongs to none."""

# The published map's values.
MIN_CLUSTERS = 4
# Toponymy's own defaults, written out so that they are part of a tree's input hash.
BASE_MIN_CLUSTER_SIZE = 10
MIN_SAMPLES = 5
NEXT_CLUSTER_SIZE_QUANTILE = 0.85

# Under 500 points, half the size: the reference value was chosen for ten times as many, and leaves a map of 180
# points with seven topics in one layer.
SMALL_BASE_MIN_CLUSTER_SIZE = 5
_SMALL = 500

# As many as the view `datasets` has columns for.
MAX_LAYERS = 6
# Naming calls that a large corpus may cost: one a topic.
MAX_TOPICS = 400

# Toponymy finds too few groups in small data with the reference values (it failed at 80 points and worked at
# 150); these find some from 40 points on. Below that there is one topic.
_SMALL_SIZES = (5, 3)
FEWEST_POINTS = 40
"""Below this many datasets there is one topic, and it is not named by a model."""
# Up to so many points scikit-learn's HDBSCAN has at most 2 CPU seconds a cut, and nothing to compile; its time grows
# with the square. fast_hdbscan's grows with the number, but half a minute goes into compiling it the first time.
MANY = 25_000
_GROWTH = 1.3


def parameters(max_topics: int) -> dict[str, Any]:
    """Everything the groups depend on besides the layout."""
    return {
        "min_clusters": MIN_CLUSTERS,
        "base_min_cluster_size": [BASE_MIN_CLUSTER_SIZE, SMALL_BASE_MIN_CLUSTER_SIZE],
        "min_samples": MIN_SAMPLES,
        "next_cluster_size_quantile": NEXT_CLUSTER_SIZE_QUANTILE,
        "max_layers": MAX_LAYERS,
        "max_topics": max_topics,
    }


def find(plane: NDArray[np.float64], max_topics: int = MAX_TOPICS) -> list[Labels]:
    """Group the points of a layout.

    Args:
        plane: shape (n, 2), n at least 1.
        max_topics: the most groups in all layers together; at least 1.

    Returns:
        One label array a layer, coarsest first; at least one layer. Where the points show no groups, one
        layer with all of them in one.
    """
    everything = [np.zeros(len(plane), dtype=np.int64)]
    if len(plane) < FEWEST_POINTS or max_topics < 2:
        return everything
    size = BASE_MIN_CLUSTER_SIZE if len(plane) >= _SMALL else SMALL_BASE_MIN_CLUSTER_SIZE
    layers = _fit(plane, MIN_CLUSTERS, size)
    if not layers and len(plane) < _SMALL:
        layers = next((found for s in _SMALL_SIZES if (found := _fit(plane, 2, s))), [])
    while layers and _topics(layers) > max_topics:
        # Bigger smallest groups, so that large corpora get as many topics as a person can take in.
        size = max(size + 1, int(size * max(_GROWTH, (_topics(layers) / max_topics) ** 0.9)))
        fewer = _fit(plane, min(MIN_CLUSTERS, max_topics), size)
        layers = fewer or _coarsest(layers, max_topics)
    return layers or everything


def _coarsest(layers: list[Labels], max_topics: int) -> list[Labels]:
    """As many layers from the top as have no more than `max_topics` groups together."""
    kept = list(layers)
    while kept and _topics(kept) > max_topics:
        kept.pop()
    return kept


def parents(layers: list[Labels]) -> list[list[tuple[int, int] | None]]:
    """For each group of each layer, the (layer, group) above that holds most of its points, if any.

    The next coarser layer is asked first, then the one above it; ties go to the lower group.
    """
    found: list[list[tuple[int, int] | None]] = []
    for depth, labels in enumerate(layers):
        above: list[tuple[int, int] | None] = []
        for group in range(int(labels.max(initial=-1)) + 1):
            members = labels == group
            parent = None
            for upper in range(depth - 1, -1, -1):
                counts = Counter(int(x) for x in layers[upper][members] if x >= 0)
                if counts:
                    parent = (upper, min(counts, key=lambda g: (-counts[g], g)))
                    break
            above.append(parent)
        found.append(above)
    return found


def _topics(layers: list[Labels]) -> int:
    return sum(int(labels.max(initial=-1)) + 1 for labels in layers)


def _fit(plane: NDArray[np.float64], min_clusters: int, base_size: int) -> list[Labels]:
    """The layers of Toponymy's clusterer, coarsest first; none where it finds too few groups."""
    layers: list[Labels] = []
    size = base_size
    while True:
        labels = leaves(plane, size)
        sizes = np.bincount(labels[labels >= 0])
        if len(sizes) < max(min_clusters, 1):
            break
        layers.append(labels)
        wider = int(np.quantile(sizes, NEXT_CLUSTER_SIZE_QUANTILE))
        if wider <= size + 1:
            break
        size = wider
    return layers[::-1][:MAX_LAYERS]


def leaves(plane: NDArray[np.float64], size: int) -> Labels:
    """HDBSCAN's leaves: the smallest groups of at least `size` points; the same points give the same labels.

    Args:
        plane: shape (n, 2), finite, n more than MIN_SAMPLES.
        size: at least 2.
    """
    if len(plane) <= MANY:
        # scikit-learn counts the point itself among its neighbours, Toponymy does not.
        model = heavy("sklearn.cluster").HDBSCAN(
            min_cluster_size=size, min_samples=MIN_SAMPLES + 1, cluster_selection_method="leaf", copy=True
        )
        return np.asarray(model.fit_predict(plane), dtype=np.int64)
    model = heavy("fast_hdbscan").HDBSCAN(
        min_cluster_size=size, min_samples=MIN_SAMPLES, cluster_selection_method="leaf"
    )
    numba = heavy("numba")
    threads = numba.get_num_threads()
    # In several threads the spanning tree differs from run to run where distances are equal. The library's own way to
    # the same tree every time takes ten times as long.
    numba.set_num_threads(1)
    try:
        return np.asarray(model.fit_predict(plane), dtype=np.int64)
    finally:
        numba.set_num_threads(threads)
