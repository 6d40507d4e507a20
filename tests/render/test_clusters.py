"""The groups are those of ToponymyClusterer, whichever way its functions run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from render import libraries
from render.topics import clusters

RNG = np.random.default_rng(5)
PLANES = {
    "groups": RNG.normal(size=(12, 2)).repeat(40, axis=0) * 9 + RNG.normal(size=(480, 2)),
    "noise": RNG.uniform(size=(150, 2)),
    "line": np.column_stack([np.arange(120.0), np.zeros(120)]),
    "grid": np.argwhere(np.ones((12, 12))).astype(float),
}


def toponymys(plane: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Toponymy's own loop makes of fast_hdbscan's functions, coarsest layer first."""
    clustering = libraries.heavy("toponymy.clustering")
    for name, function in libraries.hdbscan(compiled=False).items():
        if hasattr(clustering, name):
            monkeypatch.setattr(clustering, name, function)
    try:
        layers: list[Any] = clustering.build_raw_cluster_layers(
            plane.astype(np.float32),
            min_clusters=clusters.MIN_CLUSTERS,
            min_samples=clusters.MIN_SAMPLES,
            base_min_cluster_size=5,
            next_cluster_size_quantile=clusters.NEXT_CLUSTER_SIZE_QUANTILE,
        )
    except ValueError:  # not enough groups
        return []
    return layers[::-1]


@pytest.mark.parametrize("name", PLANES)
def test_layers_are_toponymys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = PLANES[name]
    theirs = toponymys(plane, monkeypatch)
    ours = clusters.find(plane) if theirs else clusters._fit(plane, clusters.MIN_CLUSTERS, 5)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert name != "groups" or len(ours) > 1


def test_plain_python_finds_the_groups_that_compiled_code_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = clusters.find(PLANES["groups"])
    monkeypatch.setattr(clusters, "INTERPRETED", 0)
    compiled = clusters.find(PLANES["groups"])
    assert [layer.tolist() for layer in compiled] == [layer.tolist() for layer in plain]
    assert libraries.hdbscan(compiled=True)["condense_tree"].signatures
    assert not hasattr(libraries.hdbscan(compiled=False)["condense_tree"], "signatures")
