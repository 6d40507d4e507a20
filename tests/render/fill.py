"""Databases of any size for the page's tests: the real schema, filled as a run would fill it."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

from tests.database import SCHEMA, Database

DIMENSIONS = 16

SUBJECTS = [
    "instruction-and-chat", "code-and-software", "math-and-reasoning", "medical-and-biomedical",
    "natural-images-and-video", "speech-and-audio", "legal-and-policy", "geospatial", "multi-domain", "not_stated",
]  # fmt: skip
PROVENANCE = ["human-created", "web-scraped", "llm-generated", "remix", "not_stated"]
STAGES = ["pretraining", "sft", "preference", "eval", "raw-corpus", "not_stated"]
FORMATS = ["prompt-completion", "structured-record", "raw-text", "image-caption", "not_stated"]
TRAITS = ["long-context", "multi-turn", "low-resource-language", "reasoning-traces"]
FAMILIES = ["MIT", "Apache", "CC BY", "CC ShareAlike", "CC0 / Public Domain", "Other"]
SIZES = ["<1K", "1K–10K", "10K–100K", "100K–1M", "1M–10M", ">1T", "Unknown"]
LANGUAGES = ["English", "Multilingual", "German", "Chinese", "Unknown"]
TASKS = ["Text Generation", "Text Classification", "Question Answering", "Image Classification", "Other"]
MODALITIES = ["Text", "Image", "Audio", "Tabular", "Other"]
WORDS = ["corpus", "parallel", "question", "answer", "dialogue", "street"]
WORDS += ["legal", "radiology", "satellite", "speech", "code", "proof"]

HOSTILE = [
    "<img src=x onerror=\"window.canary='img'\">",
    "<script>window.canary='script'</script>",
    "</script><script>window.canary='close'</script>",
    "\"><svg onload=window.canary='svg'>",
    "'; window.canary='quote'; '",
    "`${window.canary='literal'}`",
    "{{constructor.constructor('window.canary=1')()}} {index} {0}",
    "javascript:window.canary='url'",
    "\u202eevil\u202c \u2066iso\u2069 \x00\x07 \u2028 \U0001f600",
    "<!--<script>window.canary='comment'//-->",
    "\\u003cscript\\u003e ${7*7} \\` %3Cscript%3E",
    "x" * 10_000,
]


def connect(path: Path | str = ":memory:") -> sqlite3.Connection:
    """A new database with the schema in place."""
    conn = sqlite3.connect(path)
    conn.executescript(SCHEMA.read_text(encoding="utf-8"))
    return conn


def fill(conn: sqlite3.Connection, n: int, seed: int = 0, hostile: bool = False, layers: int | None = None) -> int:
    """Fill an empty database with `n` datasets that are on the map; the run's id.

    `hostile` puts texts that try to run as scripts into every field a stranger can write. `layers` is the
    number of topic layers; by default as many as a map of that size has.
    """
    rng, db = random.Random(seed), Database(conn, "2026-04-02T10:00:00Z")
    run = db.run(source="hub", finished_at="2026-04-02T10:07:00Z", outcome="done", exit_code=0)
    haiku = ("anthropic", "claude-haiku-4-5-20251001")
    models = {"embed": ("local", "static-16"), "extract": haiku, "summarize": haiku}
    specs = {stage: db.spec(stage, *model, digest=stage) for stage, model in models.items()}
    if layers is None:
        layers = 0 if n < 3 else 1 if n < 40 else 2 if n < 400 else 3
    centers = [(rng.uniform(-9, 9), rng.uniform(-7, 7)) for _ in range(max(1, min(24, n // 30)))]
    groups, places = [], {}
    for i in range(n):
        group = rng.randrange(len(centers))
        groups.append(group)
        _dataset(db, rng, i, run, specs, hostile=hostile)
        x, y = (c + rng.gauss(0, 0.7) for c in centers[group])
        places[i + 1] = (x, y)
    layout = db.layout(run, places, parameters='{"method": "umap", "n_neighbors": 15}')
    _neighbors(conn, layout, n)
    if layers:
        _topics(db, run, layout, groups, layers, hostile=hostile)
    conn.commit()
    return run


def _dataset(db: Database, rng: random.Random, i: int, run: int, specs: dict[str, int], *, hostile: bool) -> None:
    def text(fallback: str) -> str:
        return HOSTILE[rng.randrange(len(HOSTILE))] if hostile else fallback

    author = text(f"org-{rng.randrange(40)}") if i % 5 == 0 else f"org-{rng.randrange(40)}"
    words = " ".join(rng.choice(WORDS) for _ in range(3))
    name = f"{words.replace(' ', '-')}-{i}"
    repo_id = f"{author}/{name}" if i % 7 else name
    likes, downloads = int(10 ** rng.uniform(0, 4)), int(10 ** rng.uniform(0, 6.5))
    created = f"{rng.randrange(2021, 2026)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}T09:00:00Z"
    number = db.dataset(
        repo_id, dataset_id=i + 1, author=author, name=name, pretty_name=text(words.title()) if i % 3 else None,
        rank=i + 1, likes=likes, downloads=downloads, created_at=created, last_modified="2026-03-01T00:00:00Z",
        license=text("cc-by-4.0"), license_family=text(rng.choice(FAMILIES)), size_category=text(rng.choice(SIZES)),
        language=text(rng.choice(LANGUAGES)), task_category=text(rng.choice(TASKS)),
        modality=text(rng.choice(MODALITIES)), card_status="ok", card_checked_at=db.now, first_seen_run=run,
        last_seen_run=run,
    )  # fmt: skip
    sentence = f"{words.capitalize()} records number {i} with annotations by {rng.randrange(2, 90)} people."
    body = text(sentence) + "\n\n" + sentence * 4
    key = db.card(number, body, repo_id=repo_id, input_hash=f"card-{i}", stored_run=run)
    results = {stage: db.result(spec, key, run) for stage, spec in specs.items()}
    db.embedding(results["embed"], [rng.gauss(0, 1) for _ in range(DIMENSIONS)])
    db.summary(results["summarize"], text(sentence))
    fields = {
        "subject_domain": text(rng.choice(SUBJECTS)),
        "provenance_method": rng.choice(PROVENANCE),
        "training_stage": sorted(rng.sample(STAGES, rng.randrange(1, 3))),
        "format_convention": text(rng.choice(FORMATS)),
        "special_characteristics": rng.sample(TRAITS, rng.randrange(0, 2)),
        "geo_scope": [text("Germany")],
        "upstream_models": [text("gpt-4")],
        "is_benchmark": rng.random() < 0.2,
    }
    for field, value in fields.items():
        if rng.random() < 0.03:
            continue
        quote = text(sentence[:40])
        db.field(results["extract"], field, value, quote=quote, verified=int(rng.random() < 0.9))


def _neighbors(conn: sqlite3.Connection, layout: int, n: int) -> None:
    """Ten each, from all over the map."""
    rows = []
    for i in range(1, n + 1):
        near = [(i + step * 7) % n + 1 for step in range(1, 13)]
        near = [j for j in dict.fromkeys(near) if j != i][:10]
        rows += [(i, place, j, place / 50, layout) for place, j in enumerate(near, start=1)]
    conn.executemany(
        "INSERT INTO neighbor (dataset_id, place, neighbor_id, distance, layout_id) VALUES (?, ?, ?, ?, ?)", rows
    )


def _topics(db: Database, run: int, layout: int, groups: list[int], layers: int, *, hostile: bool) -> None:
    tree = db.topic_tree(run, layout, layers)
    above: dict[int, int] = {}
    for layer in range(layers):
        step = 2 ** (layers - 1 - layer)
        members: dict[int, list[int]] = {}
        for i, group in enumerate(groups):
            # Some datasets belong to no topic of the finer layers, as with a real clustering.
            if layer == 0 or (i + layer) % 9:
                members.setdefault(group // step, []).append(i + 1)
        made: dict[int, int] = {}
        for key, ids in sorted(members.items()):
            name = f"{WORDS[key % len(WORDS)].title()} {WORDS[(key + layer + 3) % len(WORDS)].title()} {key}"
            if hostile:
                name = f"{HOSTILE[key % len(HOSTILE)]} {key}"
            parent = above.get(key * step // (2 * step)) if layer else None
            made[key] = db.topic(tree, layer, name, ids, parent_id=parent)
        above = made
