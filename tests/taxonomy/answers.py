"""Answers as models give them: a good one, and every way of spoiling it."""

from __future__ import annotations

import json
from typing import Any

from taxonomy.answers.extractions import Parsed
from taxonomy.answers.quotes import MAX_WORDS
from taxonomy.model import Taxonomy, load
from taxonomy.prompt import examples

TAXONOMY = load()
EXAMPLE = examples(TAXONOMY)[3]
CARD: str = EXAMPLE["card"]
ANSWER: dict[str, dict[str, Any]] = EXAMPLE["answer"]


def check(parsed: Parsed, taxonomy: Taxonomy, card: str) -> None:
    """What must hold for every parsed answer, whatever it was."""
    assert list(parsed.values) == [field.name for field in taxonomy]
    for field in taxonomy:
        found = parsed.values[field.name]
        assert (found.value is None) == (field.name in parsed.problems)
        if found.value is None:
            assert found.problem
            assert found.quote is None
        else:
            assert field.allows(found.value)
        if found.verified:
            assert found.quote is not None
            assert card[found.quote_start : found.quote_end] == found.quote
        if found.quote is not None:
            assert len(found.quote.split()) <= MAX_WORDS
        json.dumps(found.value).encode()
        (found.problem or "").encode()
        (found.quote or "").encode()
