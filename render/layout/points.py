"""Vectors of a layout's points, and the hash of what a pass is made from."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.store.layouts import Points, read_embeddings
from engine.vectors import FloatMatrix


def read_vectors(conn: sqlite3.Connection, points: Points) -> FloatMatrix:
    """The vectors of the points, float32, shape (points, dimensions); anything not finite becomes 0."""
    if not len(points):
        return np.zeros((0, 0), dtype=np.float32)
    rows_of: dict[int, list[int]] = {}
    for row, result_id in enumerate(points.result_ids):
        rows_of.setdefault(result_id, []).append(row)
    vectors = np.zeros((0, 0), dtype=np.float32)
    for result_id, dimensions, blob in read_embeddings(conn):
        if not vectors.size:
            vectors = np.zeros((len(points), dimensions), dtype=np.float32)
        vectors[rows_of.get(result_id, [])] = np.frombuffer(blob, dtype="<f4")
    return np.nan_to_num(vectors, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def digest(parameters: dict[str, Any], rows: Iterable[Iterable[object]]) -> str:
    """A hash of parameters and rows, the same for the same values in the same order."""
    hasher = hashlib.blake2b(digest_size=16)
    hasher.update(json.dumps(parameters, sort_keys=True, ensure_ascii=False).encode())
    for row in rows:
        hasher.update(json.dumps(list(row), ensure_ascii=False).encode("utf-8", "surrogatepass"))
        hasher.update(b"\n")
    return hasher.hexdigest()
