"""Vectors with topical structure, made from nothing but the words of a text."""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from functools import cache

import numpy as np
from numpy.typing import NDArray

BUCKETS = 4096
STEPS = 10_000
_WORD = re.compile(r"[a-z]{4,}")
_COMMON = "this that with from have been were which their each also into more than dataset datasets data card"
_STOP = frozenset(_COMMON.split())


@cache
def _directions(dimensions: int) -> NDArray[np.float32]:
    """A random direction for each bucket of words; shape (BUCKETS, dimensions)."""
    return np.random.default_rng(dimensions).standard_normal((BUCKETS, dimensions), dtype=np.float32)


@cache
def _numerals() -> list[str]:
    """The decimal text of every step from -1 to 1, so that answers are joined instead of formatted."""
    return [f"{step / STEPS:.4f}" for step in range(-STEPS, STEPS + 1)]


def embed(text: str, dimensions: int) -> NDArray[np.float32]:
    """A unit vector of `dimensions`: the sum of the words' directions, weighted by log(1 + count).

    Texts that share words are near each other; a text without words gets a direction of its own.
    """
    words = Counter(word for word in _WORD.findall(text.lower()) if word not in _STOP)
    if not words:
        words = Counter({text: 1})
    buckets = [zlib.crc32(word.encode()) % BUCKETS for word in words]
    weights = np.array([math.log1p(count) for count in words.values()], dtype=np.float32)
    total = weights @ _directions(dimensions)[buckets]
    unit: NDArray[np.float32] = total / np.linalg.norm(total)
    return unit


def to_json(vector: NDArray[np.float32]) -> str:
    """The vector as a JSON array with four decimals."""
    if not np.isfinite(vector).all():
        return f"[{','.join(['NaN'] * len(vector))}]"
    steps = np.rint(vector * STEPS).astype(np.int64) + STEPS
    numerals = _numerals()
    return "[" + ",".join([numerals[step] for step in steps.tolist()]) + "]"
