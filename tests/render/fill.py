"""Databases of any size for the page's tests: the real schema, filled as a run would fill it."""

from __future__ import annotations

import json
import random
import sqlite3
import struct
from pathlib import Path

SCHEMA = Path(__file__).parents[2] / "hfmap.sqlite.schema.sql"
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
    rng = random.Random(seed)
    run = conn.execute(
        "INSERT INTO run (command, source, started_at, finished_at, outcome, exit_code) VALUES"
        " ('sync', 'hub', '2026-04-02T10:00:00Z', '2026-04-02T10:07:00Z', 'done', 0)"
    ).lastrowid
    assert run is not None
    specs = _specs(conn)
    if layers is None:
        layers = 0 if n < 3 else 1 if n < 40 else 2 if n < 400 else 3
    centers = [(rng.uniform(-9, 9), rng.uniform(-7, 7)) for _ in range(max(1, min(24, n // 30)))]
    layout = conn.execute(
        "INSERT INTO layout (run_id, input_hash, parameters, points, created_at)"
        " VALUES (?, 'layout', '{\"method\": \"umap\", \"n_neighbors\": 15}', ?, '2026-04-02T10:06:00Z')",
        (run, n),
    ).lastrowid
    groups = []
    for i in range(n):
        group = rng.randrange(len(centers))
        groups.append(group)
        _dataset(conn, rng, i, run, specs, hostile=hostile)
        x, y = (c + rng.gauss(0, 0.7) for c in centers[group])
        conn.execute("INSERT INTO position (layout_id, dataset_id, x, y) VALUES (?, ?, ?, ?)", (layout, i + 1, x, y))
    _neighbors(conn, layout or 0, n)
    if layers:
        _topics(conn, run, layout or 0, groups, len(centers), layers, hostile=hostile)
    conn.commit()
    return run


def _specs(conn: sqlite3.Connection) -> dict[str, int]:
    specs = {}
    for stage, provider, model in (
        ("embed", "local", "static-16"),
        ("extract", "anthropic", "claude-haiku-4-5-20251001"),
        ("summarize", "anthropic", "claude-haiku-4-5-20251001"),
    ):
        cursor = conn.execute(
            "INSERT INTO spec (stage, spec_hash, provider, model, parameters, created_at)"
            " VALUES (?, ?, ?, ?, '{}', '2026-04-02T10:00:00Z')",
            (stage, stage, provider, model),
        )
        specs[stage] = cursor.lastrowid or 0
        conn.execute("INSERT INTO current_spec (stage, spec_id) VALUES (?, ?)", (stage, specs[stage]))
    return specs


def _dataset(
    conn: sqlite3.Connection, rng: random.Random, i: int, run: int, specs: dict[str, int], *, hostile: bool
) -> None:
    def text(fallback: str) -> str:
        return HOSTILE[rng.randrange(len(HOSTILE))] if hostile else fallback

    author = text(f"org-{rng.randrange(40)}") if i % 5 == 0 else f"org-{rng.randrange(40)}"
    words = " ".join(rng.choice(WORDS) for _ in range(3))
    name = f"{words.replace(' ', '-')}-{i}"
    repo_id = f"{author}/{name}" if i % 7 else name
    likes, downloads = int(10 ** rng.uniform(0, 4)), int(10 ** rng.uniform(0, 6.5))
    created = f"{rng.randrange(2021, 2026)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}T09:00:00Z"
    conn.execute(
        "INSERT INTO dataset (dataset_id, repo_id, author, name, pretty_name, rank, on_map, likes, downloads,"
        " created_at, last_modified, license, license_family, size_category, language, task_category, modality,"
        " card_status, card_checked_at, first_seen_run, last_seen_run)"
        " VALUES (?,?,?,?,?,?,1,?,?,?,'2026-03-01T00:00:00Z',?,?,?,?,?,?,'ok','2026-04-02T10:01:00Z',?,?)",
        (
            i + 1, repo_id, author, name, text(words.title()) if i % 3 else None, i + 1, likes, downloads, created,
            text("cc-by-4.0"), text(rng.choice(FAMILIES)), text(rng.choice(SIZES)), text(rng.choice(LANGUAGES)),
            text(rng.choice(TASKS)), text(rng.choice(MODALITIES)), run, run,
        ),
    )  # fmt: skip
    sentence = f"{words.capitalize()} records number {i} with annotations by {rng.randrange(2, 90)} people."
    body = text(sentence) + "\n\n" + sentence * 4
    conn.execute(
        "INSERT INTO card (dataset_id, repo_id, pretty_name, text, body_chars, front_matter, input_hash,"
        " stored_at, stored_run) VALUES (?, ?, ?, ?, ?, 'ok', ?, '2026-04-02T10:01:00Z', ?)",
        (i + 1, repo_id, None, body, len(body), f"card-{i}", run),
    )
    results = {}
    for stage, spec in specs.items():
        results[stage] = conn.execute(
            "INSERT INTO result (spec_id, input_hash, run_id, created_at) VALUES (?, ?, ?, '2026-04-02T10:02:00Z')",
            (spec, f"card-{i}", run),
        ).lastrowid
    vector = struct.pack(f"<{DIMENSIONS}f", *(rng.gauss(0, 1) for _ in range(DIMENSIONS)))
    conn.execute(
        "INSERT INTO embedding (result_id, dimensions, vector) VALUES (?, ?, ?)", (results["embed"], DIMENSIONS, vector)
    )
    conn.execute("INSERT INTO summary (result_id, text) VALUES (?, ?)", (results["summarize"], text(sentence)))
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
        conn.execute(
            "INSERT INTO field_value (result_id, field, value, quote, verified, confidence) VALUES (?,?,?,?,?,NULL)",
            (results["extract"], field, json.dumps(value), text(sentence[:40]), int(rng.random() < 0.9)),
        )


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


def _topics(
    conn: sqlite3.Connection, run: int, layout: int, groups: list[int], k: int, layers: int, *, hostile: bool
) -> None:
    tree = conn.execute(
        "INSERT INTO topic_tree (run_id, layout_id, input_hash, parameters, layers, created_at)"
        " VALUES (?, ?, 'topics', '{}', ?, '2026-04-02T10:07:00Z')",
        (run, layout, layers),
    ).lastrowid
    above: dict[int, int] = {}
    for layer in range(layers):
        step = 2 ** (layers - 1 - layer)
        members: dict[int, list[int]] = {}
        for i, group in enumerate(groups):
            # Some datasets belong to no topic of the finer layers, as with a real clustering.
            if layer == 0 or (i + layer) % 9:
                members.setdefault(group // step, []).append(i + 1)
        for key, ids in sorted(members.items()):
            name = f"{WORDS[key % len(WORDS)].title()} {WORDS[(key + layer + 3) % len(WORDS)].title()} {key}"
            if hostile:
                name = f"{HOSTILE[key % len(HOSTILE)]} {key}"
            parent = above.get(key * step // (2 * step)) if layer else None
            topic = conn.execute(
                "INSERT INTO topic (tree_id, layer, name, named_by, key_phrases, parent_id, size)"
                " VALUES (?, ?, ?, 'phrases', '[]', ?, ?)",
                (tree, layer, name, parent, len(ids)),
            ).lastrowid
            conn.executemany(
                "INSERT INTO topic_member (tree_id, dataset_id, layer, topic_id) VALUES (?, ?, ?, ?)",
                [(tree, i, layer, topic) for i in ids],
            )
            members[key] = [topic or 0]
        above = {key: ids[0] for key, ids in members.items()}
