"""Make the small models: `python tools/make_models.py --corpus FOLDER`, from the repository's root.

They are the linear model of the fields (taxonomy/keyless/linear.npz) and the weights by which a card's sentences are chosen as
its summary (taxonomy/keyless/summary.json).

Needs nothing besides hfmap's own dependencies and takes about a minute. Everything is fitted on the reference labels
of the corpus: the summaries of its rows and the texts of its labelled cards. `benchmarks/keyless.py` measures by
cross-validation with `train`, on what it left out.
"""

from __future__ import annotations

import argparse
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import keyless_data as data
import numpy as np
from keyless_summaries import fit_summary_weights
from threadpoolctl import threadpool_limits

from taxonomy.card import CardInput
from taxonomy.cardtext import strip
from taxonomy.keyless import lexicon, linear, summary
from taxonomy.keyless.linear import CardFeatures, LinearModel
from taxonomy.model import load as load_taxonomy

CARD_WEIGHT = 4.0
"""How many summaries a labelled card counts for: there are few, and they are what the model is for."""

STRENGTH = 5.0
"""Inverse of the regularization; 3 to 10 do alike."""

MOST_WORDS = 14_000
"""Words and pairs in the model, the commonest; keeps the file below 1 MB."""

FIELDS = {
    "subject_domain": "subject",
    "provenance_method": "provenance",
    "format_convention": "format",
    "training_stage": "stage",
    "is_benchmark": "benchmark",
}
"""The taxonomy's fields that have reference labels, and the attribute of `Example` that holds each."""

OWN_RULES = frozenset({"format_convention"})
"""Fields that see the rules' scores of no other field: which columns a record has is told by nothing else."""

RULES_SHARE = {"training_stage": 0.25}
"""How far a field trusts the rules, where not fully. Few cards name a stage; the words tell more.

In three shufflings of the folds 71.1, 70.6, 69.6 and 68.8 % agree with .1, .25, .5 and 1.
"""


@dataclass(frozen=True)
class Example:
    """What the model sees of a card, and its labels; an empty label is unknown."""

    features: CardFeatures
    labels: data.ReferenceLabels
    weight: float = 1.0

    def label(self, attribute: str) -> str:
        """The slug of a field; "true" or "false" for the flag."""
        if attribute == "benchmark":
            return {"benchmark": "true", "training-data": "false"}.get(self.labels.role, "")
        return str(getattr(self.labels, attribute))


def of_card(card: data.CorpusCard, weight: float = CARD_WEIGHT) -> Example:
    """The example of a labelled card."""
    assert card.labels is not None
    return Example(seen(card.input.title, card.input.tags, strip(card.input.text)), card.labels, weight)


def of_row(row: data.CorpusRow) -> Example:
    """The example of a row: its name, task and summary."""
    given = row_input(row)
    return Example(seen(given.title, given.tags, given.text), row.labels)


def row_input(row: data.CorpusRow) -> CardInput:
    """A row as if it were a card whose whole text is the summary."""
    name = row.id.rsplit("/", 1)[-1].replace("-", " ").replace("_", " ")
    task = "task_categories:" + row.task.lower().replace(" ", "-")
    return CardInput(row.labels.summary, name, (task,))


def of_summary(card: data.CorpusCard) -> Example:
    """A labelled card as if it were a row."""
    assert card.labels is not None
    return of_row(data.CorpusRow(card.id, card.labels, card.task or "Other", "", ""))


def seen(title: str, tags: tuple[str, ...], text: str) -> CardFeatures:
    """What the model sees of a stripped text."""
    return linear.features(title, tags, text, lexicon.score(load_taxonomy(), title, tags, text))


def train(examples: Sequence[Example]) -> LinearModel:
    """Fit one multinomial logistic regression a field, all over the same words; int8 weights."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    words, idf = vocabulary(examples)
    rules = sorted({name for example in examples for name in example.features.rules})
    x = matrix(examples, words, idf, rules)
    outputs: list[str] = []
    blocks, biases = [], []
    for name, attribute in FIELDS.items():
        labels = [example.label(attribute) for example in examples]
        kept = [index for index, label in enumerate(labels) if label]
        model = LogisticRegression(C=STRENGTH, max_iter=400)
        weights = [examples[index].weight for index in kept]
        seen = [name not in OWN_RULES or rule.startswith(f"{name}=") for rule in rules]
        share = np.array([1.0] * len(words) + [RULES_SHARE.get(name, 1.0) * see for see in seen])
        masked = x @ sparse.diags(share)
        with threadpool_limits(1):  # sums in one order, whatever the number of cores: the same bytes
            model.fit(masked[kept], [labels[index] for index in kept], sample_weight=weights)
        coefficients, bias = model.coef_ * share, model.intercept_
        if len(model.classes_) == 2:  # scikit-learn keeps one row of two
            coefficients, bias = np.vstack([-coefficients, coefficients]) / 2, np.array([-bias[0], bias[0]]) / 2
        outputs += [f"{name}={slug}" for slug in model.classes_]
        blocks.append(coefficients.T)
        biases.append(bias)
    table = np.hstack(blocks)
    of_words, of_rules = table[: len(words)], table[len(words) :]
    scales = np.abs(of_words).max(0) / 127
    return LinearModel(
        outputs=tuple(outputs),
        word_names=tuple(words),
        rule_names=tuple(rules),
        idf=idf.astype(np.float32),
        words=np.rint(of_words / scales).astype(np.int8),
        scales=scales.astype(np.float32),
        rules=of_rules.astype(np.float32),
        bias=np.concatenate(biases).astype(np.float32),
    )


def vocabulary(examples: Sequence[Example]) -> tuple[list[str], np.ndarray]:
    """The words that occur in two examples or more, and their inverse document frequency (to half precision)."""
    seen_in = Counter(word for example in examples for word in example.features.words)
    common = sorted(seen_in.items(), key=lambda item: (-item[1], item[0]))[:MOST_WORDS]
    words = sorted(word for word, count in common if count > 1)
    idf = [np.log((len(examples) + 1) / (seen_in[word] + 1)) + 1 for word in words]
    return words, np.array(idf, np.float16).astype(np.float64)


def matrix(examples: Sequence[Example], words: Sequence[str], idf: np.ndarray, rules: Sequence[str]) -> Any:
    """The features as `LinearModel` computes them: sparse, (examples, words + rules)."""
    from scipy import sparse

    index = {word: row for row, word in enumerate(words)}
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for example in examples:
        known = [(index[word], count) for word, count in example.features.words.items() if word in index]
        row = np.log1p([count for _, count in known]) * idf[[column for column, _ in known]]
        columns += [column for column, _ in known]
        values += (row / (np.linalg.norm(row) or 1)).tolist()
        ends.append(len(columns))
    x = sparse.csr_matrix((values, columns, ends), shape=(len(examples), len(words)))
    scores = [[linear.RULE * example.features.rules.get(name, 0) for name in rules] for example in examples]
    return sparse.hstack([x, sparse.csr_matrix(scores)]).tocsr()


def packed(model: LinearModel) -> bytes:
    """The weights as a file, .npz."""
    arrays: dict[str, Any] = {part.name: getattr(model, part.name) for part in fields(model)}
    for name in ("outputs", "word_names", "rule_names"):
        arrays[name] = np.frombuffer("\n".join(arrays[name]).encode(), np.uint8)
    arrays["idf"] = model.idf.astype(np.float16)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def made(rows: Sequence[data.CorpusRow], cards: Sequence[data.CorpusCard]) -> dict[str, bytes]:
    """The files that ship, by name, as they are made from these rows and labelled cards."""
    weights = json.dumps(fit_summary_weights(cards), indent=2) + "\n"
    return {
        linear.WEIGHTS.name: packed(train(everything(rows, cards))),
        summary.WEIGHTS.name: weights.encode(),
    }


def main() -> None:
    """Read the corpus, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"), help="folder of cards and rows")
    parser.add_argument("--out", type=Path, default=linear.WEIGHTS.parent, help="folder to write to")
    arguments = parser.parse_args()
    cards = [card for card in data.read_cards(arguments.corpus) if card.labels]
    for name, content in made(data.read_rows(arguments.corpus), cards).items():
        (arguments.out / name).write_bytes(content)
        print(f"{name}: {len(content) / 1e6:.2f} MB")


def everything(rows: Sequence[data.CorpusRow], cards: Sequence[data.CorpusCard]) -> list[Example]:
    """Examples of rows and labelled cards; a card that is no row also counts by its summary."""
    known = {data.key(row.id) for row in rows}
    return [
        *map(of_row, rows),
        *map(of_card, cards),
        *(of_summary(card) for card in cards if data.key(card.id) not in known),
    ]


if __name__ == "__main__":
    main()
