"""A model that names topics, and a vectorizer, for the tests of the topics pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

import numpy as np

from engine.errors import HfmapError


class Namer:
    """Answers from a function; remembers what it was asked."""

    model = "double"

    def __init__(self, answer: Callable[[int, str, str], str] | None = None) -> None:
        self.prompts: list[tuple[str, str]] = []
        self._answer = answer or (lambda number, _system, _user: name_answer(f"Named {letters(number)}"))

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> list[str | HfmapError]:
        assert max_tokens > 0
        answers: list[str | HfmapError] = []
        for system, user in prompts:
            answers.append(self._answer(len(self.prompts), system, user))
            self.prompts.append((system, user))
        return answers


def name_answer(name: str) -> str:
    return json.dumps({"topic_name": name, "topic_specificity": 0.8})


def letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


class Encoder:
    """Vectors from hashed words."""

    def encode(self, texts: Sequence[str], show_progress_bar: bool | None = None) -> np.ndarray:
        vectors = np.zeros((len(texts), 32), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, hashlib.blake2b(word.encode(), digest_size=1).digest()[0] % 32] += 1
        return vectors
