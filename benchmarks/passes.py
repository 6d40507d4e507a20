"""Times the passes over generated cards, side by side with the plain recipe.

    python -m benchmarks.passes [--rows 770 5000] [--plain] [--refresh 50]

Ours: exact neighbours, UMAP on them, groups, names by an instant double, page. The plain recipe: UMAP on the vectors
with the same parameters, `Toponymy.fit` with the same double, `create_interactive_plot`. Each runs in a process of its
own, so that both pay for their imports and compilation; for every step it prints wall and CPU seconds, and for the
process the peak memory. Compiled code that numba keeps on disk is there after the first run on a machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
NOW = "2026-01-01T00:00:00Z"
DIMENSIONS = 512

_WORDS = (
    "speech audio recording transcript accent microphone|sentiment review opinion rating customer emotion|medical"
    " patient clinical disease drug radiology|translation bilingual parallel subtitle aligned interpreter|image"
    " photograph object bounding caption scene|code function repository compiler bug program|legal court contract"
    " clause statute judge|robot gripper trajectory arm simulation camera|math proof theorem algebra olympiad"
    " arithmetic|news article headline journalist summary event|chemistry molecule protein genome reaction compound|"
    "finance stock market earnings bank loan|satellite map terrain remote crop land|dialogue chat assistant turn persona"
    " conversation|safety toxic hate offensive moderation jailbreak|video clip frame action motion sport"
)
TOPICS = [words.split() for words in _WORDS.split("|")]


def generate(path: Path, rows: int, *, seed: int = 0) -> None:
    """A database with `rows` cards on mixed subjects at several scales, and vectors to match."""
    rng = np.random.default_rng(seed)
    conn = sqlite3.connect(path)
    conn.executescript((ROOT / "hfmap.sqlite.schema.sql").read_text(encoding="utf-8"))
    conn.execute("INSERT INTO run (run_id, command, started_at) VALUES (1, 'benchmark', ?)", (NOW,))
    conn.execute("INSERT INTO spec VALUES (1, 'embed', 'generated', 'local', 'generated', '{}', ?)", (NOW,))
    conn.execute("INSERT INTO current_spec VALUES ('embed', 1)")
    broad = rng.normal(size=(len(TOPICS), DIMENSIONS))
    narrow = rng.normal(size=(len(TOPICS), 24, DIMENSIONS))
    # Narrow subjects differ in size, as real ones do.
    weights = rng.dirichlet(np.full(24, 0.7), size=len(TOPICS))
    for i in range(rows):
        topic = int(rng.integers(len(TOPICS)))
        part = int(rng.choice(24, p=weights[topic]))
        text, vector = _card(rng, topic, part, i), broad[topic] + 0.8 * narrow[topic, part]
        _insert(conn, i + 1, topic, text, vector + 0.9 * rng.normal(size=DIMENSIONS))
    conn.commit()
    conn.close()


def change(path: Path, cards: int, *, seed: int = 1) -> None:
    """Give `cards` datasets another text and a vector near their own."""
    rng = np.random.default_rng(seed)
    conn = sqlite3.connect(path)
    rows = conn.execute(
        "SELECT dataset_id, c.text, e.vector FROM card c JOIN in_force i USING (dataset_id)"
        " JOIN embedding e USING (result_id) WHERE i.stage = 'embed' ORDER BY dataset_id"
    ).fetchall()
    for number in rng.choice(len(rows), size=min(cards, len(rows)), replace=False).tolist():
        dataset_id, text, blob = rows[number]
        vector = np.frombuffer(blob, dtype="<f4") + 0.5 * rng.normal(size=DIMENSIONS)
        new_hash = f"changed-{seed}-{dataset_id}"
        conn.execute(
            "UPDATE card SET text = ?, input_hash = ? WHERE dataset_id = ?", (f"{text}\nNew.", new_hash, dataset_id)
        )
        _result(conn, new_hash, vector)
    conn.commit()
    conn.close()


def _card(rng: np.random.Generator, topic: int, part: int, number: int) -> str:
    words = TOPICS[topic]
    own = [f"{words[part % len(words)]} {words[(part // 2 + 1) % len(words)]}", words[part % len(words)]]
    lines = [f"# {own[0].title()} {number}", ""]
    for _ in range(12):
        a, b, c = rng.choice([*words, *own, own[0]], size=3)
        lines.append(f"Collected for {a} and {b}, with notes on {c} by experts in the field.")
    return "---\nlanguage: en\n---\n" + "\n".join(lines)


def _insert(conn: sqlite3.Connection, dataset_id: int, topic: int, text: str, vector: Any) -> None:
    title = text.partition("# ")[2].partition("\n")[0]
    repo_id = f"org-{dataset_id % 97:02d}/set-{dataset_id:06d}"
    conn.execute(
        "INSERT INTO dataset (dataset_id, repo_id, name, pretty_name, rank, on_map, likes, card_status, metadata)"
        " VALUES (?, ?, ?, ?, ?, 1, ?, 'ok', ?)",
        (
            dataset_id,
            repo_id,
            repo_id.partition("/")[2],
            title,
            dataset_id,
            max(0, 9000 // dataset_id),
            json.dumps({"task_categories": [f"{TOPICS[topic][0]}-{TOPICS[topic][1]}"]}),
        ),
    )
    conn.execute(
        "INSERT INTO card (dataset_id, repo_id, pretty_name, text, body_chars, front_matter, input_hash, stored_at)"
        " VALUES (?, ?, ?, ?, ?, 'ok', ?, ?)",
        (dataset_id, repo_id, title, text, len(text), f"text-{dataset_id}", NOW),
    )
    _result(conn, f"text-{dataset_id}", vector)


def _result(conn: sqlite3.Connection, input_hash: str, vector: Any) -> None:
    cursor = conn.execute(
        "INSERT INTO result (spec_id, input_hash, run_id, created_at) VALUES (1, ?, 1, ?)", (input_hash, NOW)
    )
    blob = np.asarray(vector, dtype="<f4").tobytes()
    conn.execute("INSERT INTO embedding VALUES (?, ?, ?)", (cursor.lastrowid, DIMENSIONS, blob))


class Clock:
    """Wall and CPU seconds of the steps of one process."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[float, float]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        wall, cpu = time.monotonic(), time.process_time()
        yield
        self.steps[name] = (time.monotonic() - wall, time.process_time() - cpu)

    def wrap(self, module: Any, function: str, name: str) -> None:
        """Time every call of a function of a module."""
        inner: Callable[..., Any] = getattr(module, function)

        def timed(*args: Any, **kwargs: Any) -> Any:
            wall, cpu = time.monotonic(), time.process_time()
            try:
                return inner(*args, **kwargs)
            finally:
                before = self.steps.get(name, (0.0, 0.0))
                self.steps[name] = (
                    before[0] + time.monotonic() - wall,
                    before[1] + time.process_time() - cpu,
                )

        setattr(module, function, timed)


class InstantNamer:
    """Answers every naming prompt at once, each with another name."""

    model = "instant"

    def __init__(self) -> None:
        self.calls = 0

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> list[str]:
        """One answer a prompt."""
        del max_tokens
        return [self.answer() for _ in prompts]

    def answer(self) -> str:
        """A name as Toponymy's prompts ask for it."""
        self.calls += 1
        letters = "".join(chr(ord("a") + int(d)) for d in str(self.calls))
        return json.dumps({"topic_name": f"Subject {letters}", "topic_specificity": 0.9})


class HashingEncoder:
    """Vectors of hashed words: what an encoder costs at least."""

    def encode(self, texts: Sequence[str], show_progress_bar: bool | None = None) -> Any:
        """Vectors of shape (texts, 256)."""
        from sklearn.feature_extraction.text import HashingVectorizer

        del show_progress_bar
        hasher = HashingVectorizer(n_features=256, alternate_sign=False)
        return hasher.transform(list(texts)).toarray().astype(np.float32)


def ours(path: Path, clock: Clock) -> dict[str, Any]:
    """The passes of hfmap."""
    from engine.store.layouts import read_newest_layout
    from render.layout import layout, projection
    from render.topics import clusters, model_naming, topics

    clock.wrap(layout, "knn", "  neighbours")
    clock.wrap(projection, "project", "  umap")
    clock.wrap(layout, "measure_layout", "  quality")
    clock.wrap(clusters, "find", "  clusters")
    clock.wrap(model_naming, "name_layers", "  names")
    conn = sqlite3.connect(path)
    namer = InstantNamer()
    with clock.step("layout"):
        made = layout.ensure(conn, run_id=1, emit=lambda _: None)
    with clock.step("topics"):
        named = topics.ensure(
            conn, run_id=1, layout_id=made.layout_id, namer=namer, emit=lambda _: None, text_encoder=HashingEncoder()
        )
    with clock.step("page"):
        from render.page import page

        page.ensure(conn, run_id=1, out=path.parent / "site", emit=lambda _: None)
    stored = read_newest_layout(conn)
    conn.close()
    return {
        "calls": namer.calls,
        "made_by": made.made_by,
        "topics": named.topics,
        "layers": named.layers,
        "kept": named.kept,
        "quality": {} if stored is None else stored.quality,
    }


def plain(path: Path, clock: Clock) -> dict[str, Any]:
    """The recipe as the libraries' own documentation has it, with the published map's parameters."""
    import warnings

    warnings.simplefilter("ignore")
    from engine.store.layouts import read_points
    from engine.store.topics import TopicSource
    from render.layout.layout import read_vectors
    from render.topics.documents import document

    conn = sqlite3.connect(path)
    found = read_points(conn)
    vectors = read_vectors(conn, found)
    with clock.step("umap"):
        import umap

        plane = umap.UMAP(
            n_neighbors=15, min_dist=0.05, metric="cosine", random_state=42, n_components=2
        ).fit_transform(vectors)
    rows = conn.execute(
        "SELECT dataset_id, repo_id, name, coalesce(pretty_name, ''), language, modality, size_category, metadata,"
        " (SELECT text FROM card c WHERE c.dataset_id = d.dataset_id) FROM dataset d ORDER BY repo_id"
    )
    texts = [document(TopicSource(*row)).text for row in rows]
    namer = InstantNamer()
    with clock.step("topics"):
        model = _plain_topics(texts, vectors, plane, namer)
    with clock.step("page"):
        import datamapplot

        html = datamapplot.create_interactive_plot(plane, *model.topic_name_vectors_, hover_text=found.repo_ids)
        html.save(str(path.with_suffix(".html")))
    return {"calls": namer.calls, "topics": sum(len(n) for n in model.topic_names_), "layers": len(model.topic_names_)}


def _plain_topics(texts: list[str], vectors: Any, plane: Any, namer: InstantNamer) -> Any:
    from toponymy import Toponymy, ToponymyClusterer
    from toponymy.llm_wrappers import AsyncLLMWrapper

    class Wrapper(AsyncLLMWrapper):  # type: ignore[misc]
        async def _call_single_llm(self, _prompt: str, _temperature: float, _max_tokens: int) -> str:
            return namer.answer()

        async def _call_single_llm_with_system(self, *_: object) -> str:
            return namer.answer()

    model = Toponymy(
        llm_wrapper=Wrapper(),
        text_embedding_model=HashingEncoder(),
        clusterer=ToponymyClusterer(min_clusters=4, verbose=False),
        object_description="HuggingFace dataset cards",
        corpus_description="collection of HuggingFace datasets",
        lowest_detail_level=0.5,
        highest_detail_level=1.0,
        exemplar_delimiters=['    * """', '"""\n'],
        verbose=False,
    )
    model.fit(texts, vectors, plane)
    return model


def _child(how: str, path: Path) -> None:
    clock = Clock()
    started, cpu = time.monotonic(), time.process_time()
    facts = {"ours": ours, "plain": plain}[how](path, clock)
    clock.steps["total"] = (time.monotonic() - started, time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"steps": clock.steps, "peak_mb": peak, "facts": facts}))


def _run(how: str, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.passes", "--child", how, str(path)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _report(title: str, result: dict[str, Any]) -> None:
    print(f"\n{title}   peak {result['peak_mb']:,.0f} MB   {result['facts']}")
    for name, (wall, cpu) in result["steps"].items():
        print(f"  {name:<16}{wall:>9.2f} s wall{cpu:>10.2f} s CPU")
    sys.stdout.flush()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[770, 5000])
    parser.add_argument("--plain", action="store_true", help="run the plain recipe as well")
    parser.add_argument("--refresh", type=int, default=50, help="cards changed for the refresh; 0 for none")
    parser.add_argument("--child", nargs=2, metavar=("HOW", "DATABASE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        _child(given.child[0], Path(given.child[1]))
        return
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "map.sqlite"
            generate(path, rows)
            print(f"\n=== {rows:,} rows")
            cold = _run("ours", path)
            _report("ours, cold", cold)
            _report("ours, nothing changed", _run("ours", path))
            refresh = None
            if given.refresh:
                change(path, given.refresh)
                refresh = _run("ours", path)
                _report(f"ours, {given.refresh} cards changed", refresh)
            if given.plain:
                base = _run("plain", path)
                _report("plain recipe", base)
                total = base["steps"]["total"][0]
                print(f"\n  cold / plain      {cold['steps']['total'][0] / total:.2f}")
                if refresh is not None:
                    print(f"  refresh / plain   {refresh['steps']['total'][0] / total:.2f}")


if __name__ == "__main__":
    main()
