"""What the passes import and compile, done ahead of them: for a thread that has nothing else to do."""

from __future__ import annotations

import numpy as np

from render import libraries
from render.layout import projection
from render.layout.neighbors import cosine_knn
from render.page import datamapplot
from render.topics import clusters

# Enough for a spectral start, as on a real map.
_FEW = 130


def refresh() -> None:
    """Import what places a few cards on a map that stays, and what draws the page."""
    libraries.heavy("scipy.spatial")
    datamapplot.load()


def rebuild() -> None:
    """Import what lays a map out anew and names its topics, and have it compiled by laying out a small one."""
    for name in ("umap", "scipy.optimize", "scipy.spatial"):
        libraries.heavy(name)
    vectors = np.random.default_rng(0).normal(size=(_FEW, 8)).astype(np.float32)
    projection.project(vectors, cosine_knn(vectors, projection.N_NEIGHBORS + 1))


def many() -> None:
    """Have compiled what groups more points than plain Python is quick for."""
    clusters.find(np.random.default_rng(0).normal(size=(clusters.INTERPRETED + 1, 2)))


def model() -> None:
    """Import what a model is asked for topic names with."""
    libraries.heavy("toponymy")
