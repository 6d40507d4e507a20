"""The groups are HDBSCAN's leaves, in the layers that ToponymyClusterer makes of them, the same in every process."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from render.libraries import heavy
from render.topics import clusters
from tests.conftest import ROOT, clean_environment

RNG = np.random.default_rng(5)
PLANES = {
    "groups": RNG.normal(size=(12, 2)).repeat(40, axis=0) * 9 + RNG.normal(size=(480, 2)),
    "noise": RNG.uniform(size=(150, 2)),
    "line": np.column_stack([np.arange(120.0), np.zeros(120)]),
    "grid": np.argwhere(np.ones((12, 12))).astype(float),
}
FIND = """
import json, sys
import numpy as np
from render.topics import clusters
clusters.MANY = int(sys.argv[1])
plane = np.array(json.load(sys.stdin))
found = [clusters.leaves(plane, int(size)) for size in sizes] if (sizes := sys.argv[2:]) else clusters.find(plane)
print(json.dumps([labels.tolist() for labels in found]))
"""


def toponymys(plane: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Toponymy's own loop makes of our leaves in the place of fast_hdbscan's, coarsest layer first."""
    clustering = heavy("toponymy.clustering")
    monkeypatch.setattr(clustering, "build_kdtree", lambda _: None)
    monkeypatch.setattr(clustering, "parallel_boruvka", lambda *_, **__: (np.zeros((1, 3)), None, None))
    monkeypatch.setattr(clustering, "mst_to_linkage_tree", lambda _: plane)
    monkeypatch.setattr(clustering, "condense_tree", lambda given, size: partial(clusters.leaves, given, size))
    monkeypatch.setattr(clustering, "extract_leaves", lambda _: None)
    monkeypatch.setattr(clustering, "get_cluster_label_vector", lambda leaves, *_: leaves())
    try:
        layers: list[Any] = clustering.build_raw_cluster_layers(
            plane,
            min_clusters=clusters.MIN_CLUSTERS,
            min_samples=clusters.MIN_SAMPLES,
            base_min_cluster_size=5,
            next_cluster_size_quantile=clusters.NEXT_CLUSTER_SIZE_QUANTILE,
        )
    except ValueError:  # not enough groups
        return []
    return layers[::-1]


def found_by_another_process(plane: NDArray[np.float64], *sizes: int, many: int = clusters.MANY) -> list[list[int]]:
    """The layers of a plane, or its leaves of these sizes; with more than `many` points by fast_hdbscan, in plain Python, which need not be compiled."""
    done = subprocess.run(
        [sys.executable, "-c", FIND, str(many), *map(str, sizes)],
        env=clean_environment(NUMBA_DISABLE_JIT="1"),
        input=json.dumps(plane.tolist()),
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
        cwd=ROOT,
    )
    layers: list[list[int]] = json.loads(done.stdout)
    return layers


@pytest.mark.parametrize("name", PLANES)
def test_layers_are_toponymys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = PLANES[name]
    theirs = toponymys(plane, monkeypatch)
    ours = clusters.find(plane) if theirs else clusters._fit(plane, clusters.MIN_CLUSTERS, 5)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert name != "groups" or len(ours) > 1


@pytest.mark.parametrize("name", PLANES)
def test_every_process_finds_the_same_groups(name: str) -> None:
    assert found_by_another_process(PLANES[name]) == [labels.tolist() for labels in clusters.find(PLANES[name])]


def test_a_large_map_has_the_groups_that_a_small_one_has() -> None:
    plane, sizes = PLANES["groups"], (15, 20, 30)
    theirs = found_by_another_process(plane, *sizes, many=0)
    assert found_by_another_process(plane, *sizes, many=0) == theirs
    for size, other in zip(sizes, theirs, strict=True):
        mine = clusters.leaves(plane, size)
        assert len({*mine.tolist()}) == len({*other}) > 4
        # Where distances are equal, the two merge points in another order.
        assert adjusted_rand_score(mine, other) > 0.95
