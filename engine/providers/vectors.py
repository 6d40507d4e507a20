"""Vectors as services send them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
