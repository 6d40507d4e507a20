"""The corpus of real cards and rows that the keyless models are made from and measured on.

Files (see the corpus' own README): `cards.jsonl.gz`, whole cards, some with reference labels; `rows.jsonl.gz`,
reference labels and summaries of datasets whose cards are not in the corpus.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from taxonomy.card import CardInput, parse_card

SEED = 20261120
"""Of every fold and shuffle."""

FOLDS = 5

T = TypeVar("T")


@dataclass(frozen=True)
class ReferenceLabels:
    """What the reference says of a dataset: slugs, as in the taxonomy; `summary` is its one-line summary."""

    subject: str
    provenance: str
    format: str
    stages: tuple[str, ...]
    role: str
    summary: str

    @property
    def stage(self) -> str:
        """The first training stage."""
        return self.stages[0] if self.stages else "not_stated"


@dataclass(frozen=True)
class CorpusCard:
    """A real card. `input` is what every keyless model gets; `task` the first task category, if any."""

    id: str
    raw: str
    input: CardInput
    task: str | None
    labels: ReferenceLabels | None


@dataclass(frozen=True)
class CorpusRow:
    """A dataset of which only labels and metadata are known, as display names."""

    id: str
    labels: ReferenceLabels
    task: str
    modality: str
    language: str


def slug(name: str) -> str:
    """`Instruction And Chat` → `instruction-and-chat`; the abstentions keep their underscore."""
    folded = name.strip().lower().replace(" ", "-")
    return {"not-stated": "not_stated", "not-applicable": "not_applicable"}.get(folded, folded)


def read_cards(corpus: Path) -> list[CorpusCard]:
    """All cards, in the file's order."""
    cards = []
    for entry in _lines(corpus / "cards.jsonl.gz"):
        card = parse_card(entry["card"])
        tasks = card.front_matter.get("task_categories") or ()
        task = tasks if isinstance(tasks, str) else next(iter(tasks), None)
        title = card.title or str(entry["name"])
        labels = _labels(entry["reference"]) if "reference" in entry else None
        cards.append(CorpusCard(entry["id"], entry["card"], CardInput(card.body, title, card.tags), task, labels))
    return cards


def read_rows(corpus: Path) -> list[CorpusRow]:
    """All rows, in the file's order."""
    return [
        CorpusRow(entry["id"], _labels(entry["reference"]), entry["task"], entry["modality"], entry["language"])
        for entry in _lines(corpus / "rows.jsonl.gz")
    ]


def key(dataset_id: str) -> str:
    """The name without its owner, lower case: datasets that share it may be one and the same."""
    return dataset_id.rsplit("/", 1)[-1].lower()


def apart(rows: Sequence[CorpusRow], cards: Sequence[CorpusCard]) -> list[CorpusRow]:
    """The rows of datasets that are none of `cards`: nothing learned from them has seen those cards."""
    known = {key(card.id) for card in cards}
    return [row for row in rows if key(row.id) not in known]


def folds(items: Sequence[T], keys: Sequence[str], count: int = FOLDS) -> list[tuple[list[T], list[T]]]:
    """(train, test) for each fold; items with the same key are in the same fold."""
    distinct = sorted(set(keys))
    random.Random(SEED).shuffle(distinct)
    fold = {name: index % count for index, name in enumerate(distinct)}
    return [
        (
            [item for item, name in zip(items, keys, strict=True) if fold[name] != test],
            [item for item, name in zip(items, keys, strict=True) if fold[name] == test],
        )
        for test in range(count)
    ]


def _labels(reference: dict[str, str]) -> ReferenceLabels:
    return ReferenceLabels(
        subject=slug(reference["subject_domain"]),
        provenance=slug(reference["provenance_method"]),
        format=slug(reference["format_convention"]),
        stages=tuple(slug(stage) for stage in reference["training_stage"].split(",") if stage.strip()),
        role=slug(reference["role"]),
        summary=reference["summary"],
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
