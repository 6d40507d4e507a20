"""Vectors: read as services send them, and brought to length 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatMatrix = NDArray[np.float32]


def as_float32(rows: object) -> NDArray[np.float32]:
    """Make float32 of rows of numbers; what is too large becomes infinite.

    Raises:
        TypeError: they hold something else, such as numbers written as text, which NumPy would read.
        ValueError, OverflowError: they differ in length, or cannot be read.
    """
    raw = np.asarray(rows)
    if raw.dtype.kind not in "fiu":
        raise TypeError(f"an array of {raw.dtype}")
    with np.errstate(over="ignore"):
        return raw.astype(np.float32)


def unit_rows(vectors: FloatMatrix) -> FloatMatrix:
    """Rows scaled to length 1, shape (n, d); rows of length 0 (or not finite) become zeros."""
    clean = np.nan_to_num(np.asarray(vectors, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    peak = np.abs(clean).max(axis=1, keepdims=True, initial=0.0)
    # Dividing by the largest entry first keeps the squares of very large or small entries in range.
    scaled = np.divide(clean, peak, out=np.zeros_like(clean), where=peak > 0)
    lengths = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    unit: FloatMatrix = np.divide(scaled, lengths, out=np.zeros_like(scaled), where=lengths > 0)
    return unit
