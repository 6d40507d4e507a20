"""`hfmap report`: figures worked out by hand on small databases, hostile text, and the trial of a taxonomy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from engine.cli.app import hfmap as command
from engine.pipeline.trial import shares_of
from engine.reports.answers import spelled_alike
from engine.reports.taxonomy import outside
from taxonomy.answers.values import normalize
from taxonomy.model import load
from tests.cli.small import NOW, Small
from tests.services.services import Services

HOSTILE = '<script>alert(1)</script>"\x1b[31m{{7*7}}'


def run(*arguments: str, code: int = 0, env: dict[str, str] | None = None) -> Result:
    done = CliRunner().invoke(command, ["report", *arguments], env=env)
    assert done.exit_code == code, done.output
    return done


def facts(*arguments: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json", env=env).stdout)
    return found


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    made = Small(tmp_path / "hfmap.sqlite")
    yield made
    made.close()


# Taxonomy


@pytest.fixture
def read(small: Small) -> Small:
    """Twelve cards: six on scraped web text, six on medicine; a second reader takes half of the former for remixes."""
    other = small.reader("local", "rules", current=False)
    model = small.reader("anthropic", "claude-haiku-4-5")
    for place in range(12):
        web = place < 6
        number = small.dataset(f"org/d{place:02}", vector=(1, 0.1 * place, 0) if web else (0, 0, 1))
        fields: dict[str, Any] = {
            "subject_domain": "general-web-text" if web else "medical-and-biomedical",
            "provenance_method": "web-scraped" if web else "human-created",
            "training_stage": ["pretraining", "raw-corpus"] if web else ["not_stated"],
            "is_benchmark": False,
        }
        small.read(other, number, fields | {"provenance_method": "remix" if place < 3 else fields["provenance_method"]})
        if place == 0:
            fields["subject_domain"] = ("other", False, None)
        if place in {1, 2}:
            fields["subject_domain"] = (
                None,
                False,
                f'"{"Cookery" if place == 1 else "cookery "}" is not one of the allowed slugs',
            )
        if place == 3:
            fields["provenance_method"] = ("web-scraped", False, 'read from "Web scraped"')
        small.read(model, number, fields)
    return small


def test_shares_per_field(read: Small) -> None:
    found = facts("taxonomy")
    assert found["cards"] == 12
    fields = {f["field"]: f for f in found["fields"]}
    subject = fields["subject_domain"]
    # 1 of 12 is other, 2 of 12 have no value; of the 10 with one, the "other" is not proved.
    assert (subject["other"], subject["invalid"], subject["unverified"]) == (8.3, 16.7, 10.0)
    assert (fields["provenance_method"]["repaired"], fields["provenance_method"]["unverified"]) == (8.3, 8.3)
    assert (fields["training_stage"]["not_stated"], fields["training_stage"]["unverified"]) == (50.0, 0.0)
    # Nothing proves that something is no benchmark; nobody answered for the format at all.
    assert fields["is_benchmark"]["unverified"] is None
    assert fields["format_convention"]["invalid"] == 100.0
    assert found["wanted"] == [{"field": "subject_domain", "value": "Cookery", "cards": 2}]
    used = {(s["field"], s["slug"]): s["cards"] for s in found["slugs"]}
    assert used["training_stage", "raw-corpus"] == 6
    assert used["subject_domain", "geospatial"] == 0


def test_pairs_that_are_hard_to_tell_apart(read: Small) -> None:
    found = facts("taxonomy")
    assert found["read_twice"] == 12
    pairs = {(p["field"], p["one"], p["other"]): p for p in found["pairs"]}
    # Six cards are given either; on three of them one reader says this and the other that.
    confused = pairs["provenance_method", "web-scraped", "remix"]
    assert (confused["confused"], confused["confused_cards"]) == (50.0, 3)
    together = pairs["training_stage", "pretraining", "raw-corpus"]
    assert (together["together"], together["centroids"]) == (100.0, 1.0)
    assert ("provenance_method", "human-created", "web-scraped") not in pairs
    assert len(pairs) == 2


def test_signatures_of_topics(read: Small) -> None:
    conn = read.conn
    conn.execute("INSERT INTO layout (layout_id, run_id, input_hash, parameters, points, created_at)"
                 " VALUES (1, 1, 'h', '{}', 12, ?)", (NOW,))  # fmt: skip
    conn.execute("INSERT INTO topic_tree (tree_id, run_id, layout_id, input_hash, parameters, layers, created_at)"
                 " VALUES (1, 1, 1, 'h', '{}', 1, ?)", (NOW,))  # fmt: skip
    conn.execute("INSERT INTO topic (topic_id, tree_id, layer, name, named_by, size) VALUES (1, 1, 0, ?, 'm', 4)",
                 (HOSTILE,))  # fmt: skip
    conn.executemany("INSERT INTO topic_member VALUES (1, ?, 0, 1)", [(4,), (5,), (6,), (7,)])
    (topic,) = facts("taxonomy")["topics"]
    marks = {(m["field"], m["value"]): m for m in topic["marks"]}
    # 3 of 4 were scraped, 6 of 12 overall: lift 1.5. General web text: 3 of 4 against 3 of 10: 2.5.
    assert (marks["provenance_method", "web-scraped"]["share"], marks["provenance_method", "web-scraped"]["lift"]) == (
        75.0,
        1.5,
    )
    assert marks["subject_domain", "general-web-text"]["lift"] == 2.5
    assert topic["marks"][0]["value"] == "general-web-text"
    done = run("taxonomy", "--html", "page.html")
    assert "\x1b" not in done.stdout
    page = Path("page.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{7*7}}" in page
    assert "script-src 'none'" in page.replace("&#39;", "'")


def test_what_models_wanted_is_read_from_the_wording_of_the_checks() -> None:
    field = load().field("subject_domain")
    problem = normalize(field, "Cook; (ery) things").problem
    assert problem is not None
    assert list(outside(problem)) == ["Cook; (ery) things"]
    long = normalize(field, "food " * 40).problem
    assert long is not None
    (cut,) = outside(long)
    assert cut.startswith("food food")
    assert cut.endswith("…")
    assert list(outside(f'asked again ({problem}); read from "x"')) == ["Cook; (ery) things"]
    assert list(outside(f'{problem}; asked again: "Chess" is not one of the allowed slugs')) == [
        "Cook; (ery) things", "Chess",
    ]  # fmt: skip
    assert list(outside("the card says too little")) == []


# A trial


def test_strata_get_places_by_size_and_one_each() -> None:
    assert shares_of({"a": 80, "b": 15, "c": 5}, 10) == {"a": 7, "b": 2, "c": 1}
    assert shares_of({"a": 3, "b": 1}, 10) == {"a": 3, "b": 1}
    assert shares_of({"a": 3, "b": 2, "c": 1}, 2) == {"a": 1, "b": 1}
    assert shares_of({}, 5) == {}


CARD = "# Radiology\n\nChest X-ray images with radiologist reports, written by doctors at two hospitals. " * 4


@pytest.fixture
def changed(tmp_path: Path) -> str:
    taxonomy = json.loads((Path(load.__code__.co_filename).parent / "taxonomy.json").read_text(encoding="utf-8"))
    taxonomy["fields"] = [f for f in taxonomy["fields"] if f["name"] in {"subject_domain", "is_benchmark"}]
    taxonomy["fields"].append(
        {"name": "mood", "kind": "one", "description": "The mood.", "slugs": {"glad": "Glad.", "not_stated": "Silent."}}
    )
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(taxonomy), encoding="utf-8")
    return str(path)


@pytest.fixture
def cards(small: Small) -> Small:
    rules = small.reader("local", "rules")
    for place in range(6):
        number = small.dataset(f"org/d{place}", card=f"{CARD}{place}")
        small.read(rules, number, {"subject_domain": "legal-and-policy", "format_convention": "vqa"})
    return small


def test_a_trial_by_rules_costs_and_stores_nothing(cards: Small, changed: str) -> None:
    before = cards.path.read_bytes()
    found = facts("taxonomy", "--sample", "4", "--taxonomy", changed)
    assert (found["sample"], found["failed"], found["spent_usd"], found["full"]) == (
        4,
        0,
        0.0,
        {"cards": 6, "usd": 0.0},
    )
    fields = {f["field"]: f for f in found["fields"]}
    assert fields["subject_domain"]["same"] == 0.0
    assert fields["subject_domain"]["moves"] == [
        {"reference": "legal-and-policy", "found": "medical-and-biomedical", "cards": 4}
    ]
    assert fields["mood"]["before"] is None
    assert fields["mood"]["after"]["not_stated"] == 100.0
    assert fields["format_convention"]["after"] is None
    assert cards.path.read_bytes() == before
    assert facts("taxonomy", "--sample", "4", "--taxonomy", changed) == found


def test_names_are_compared_without_their_spelling_and_shown_with_it(small: Small) -> None:
    one, other = spelled_alike([("GPT-4", "Llama 2"), None, ("not_stated",)], [("gpt4", "GPT-4"), ("GPT 4",), ()])
    assert one == [("GPT-4", "Llama 2"), None, ("not_stated",)]
    assert other == [("GPT-4",), ("GPT-4",), ()]
    small.read(
        small.reader("local", "rules"), small.dataset("org/named", card=CARD), {"upstream_models": ["GPT-4 Turbo"]}
    )
    fields = {f["field"]: f for f in facts("taxonomy", "--sample", "1", "--llm", "local")["fields"]}
    assert fields["upstream_models"]["moves"] == [{"reference": "GPT-4 Turbo", "found": "not_stated", "cards": 1}]


def test_a_trial_by_a_model_is_priced_first_and_leaves_no_trace(cards: Small, changed: str) -> None:
    with Services() as services:
        found = facts("taxonomy", "--sample", "3", "--taxonomy", changed, env=services.env)
        assert services.count("extract") == 3
    assert (found["sample"], found["failed"]) == (3, 0)
    assert found["reader"].startswith("anthropic claude-haiku-4-5")
    assert 0 < found["spent_usd"] < 0.1
    # All six cards cost about twice the three.
    assert 0 < found["full"]["usd"] < 0.2
    assert cards.conn.execute("SELECT count(*) FROM call").fetchone() == (0,)
    assert cards.conn.execute("SELECT count(*) FROM result").fetchone() == (6,)


def test_a_dear_trial_is_not_begun_unasked(cards: Small, changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.cli.dryrun.ASK_ABOVE", 0.0001)
    with Services() as services:
        arguments = ("taxonomy", "--sample", "3", "--taxonomy", changed)
        assert "--yes" in run(*arguments, code=2, env=services.env).stderr
        assert services.count("extract") == 0
        run(*arguments, "--yes", env=services.env)
        assert services.count("extract") == 3
        assert "budget" in run(*arguments, "--yes", "--budget", "0.00001", code=4, env=services.env).stderr


def test_a_trial_that_ends_early_shows_what_was_read(cards: Small, changed: str) -> None:
    arguments = ("taxonomy", "--sample", "6", "--taxonomy", changed, "--json")
    with Services() as services:
        spent = json.loads(run(*arguments, env=services.env).stdout)["spent_usd"]
        # Before a call the most it can cost is set aside: nearly all of this budget, so that few fit.
        done = run(*arguments, "--budget", str(spent + 0.005), code=4, env=services.env)
    found = json.loads(done.stdout)
    assert 1 <= found["sample"] < 6
    assert 0 < found["spent_usd"] < spent
    assert "until then" in done.stderr


def test_flags_of_a_trial_need_a_sample(cards: Small, changed: str) -> None:
    assert "--sample" in run("taxonomy", "--taxonomy", changed, code=2).stderr
    assert "nothing.json" in run("taxonomy", "--sample", "2", "--taxonomy", "nothing.json", code=2).stderr


def test_nothing_read_yet(small: Small) -> None:
    assert facts("taxonomy")["cards"] == 0
    assert "No card on the map has been read yet." in run("taxonomy", "--sample", "2", code=1).stderr


# Rank


def test_signals_are_compared(small: Small) -> None:
    # Likes fall from 200 on; downloads are the same order but for the first 50, which come last.
    for place in range(200):
        small.dataset(
            f"org/d{place:03}",
            card=None,
            likes=200 - place,
            downloads=place - 50 if place < 50 else 1000 - place,
            modality="Audio" if place < 50 else "Text",
        )
    small.dataset("org/left", card=None, rank=None, likes=9999, downloads=9999)
    found = facts("rank", "--top", "50")
    assert found["listed"] == 200
    assert [(s["signal"], s["known"], s["unknown"]) for s in found["signals"]] == [
        ("likes", 200, 0), ("downloads", 200, 0), ("trending_score", 0, 200),
    ]  # fmt: skip
    (pair,) = found["pairs"]
    # Places 50 to 99 are in both first hundreds.
    assert pair["overlaps"] == [{"top": 100, "shared": 50, "share": 50.0, "chance": 50.0, "ties": False}]
    likes, downloads = np.arange(200)[::-1], np.concatenate([np.arange(50), 50 + np.arange(150)[::-1]])
    assert pair["spearman"] == round(float(np.corrcoef(likes, downloads)[0, 1]), 3)
    assert found["only"] == {"likes": 50, "downloads": 50}
    assert [(b["value"], b["all"], b["only"]) for b in found["brought"] if b["kind"] == "modality"] == [
        ("Audio", 50, {"likes": 50, "downloads": 0}), ("Text", 50, {"likes": 0, "downloads": 50}),
    ]  # fmt: skip
    done = run("rank", "--html", "page.html")
    assert "trending_score was not listed for 200 of them" in done.stdout
    assert Path("page.html").read_text(encoding="utf-8").count("<circle") == 200


def test_ties_at_the_cut_are_told_and_few_datasets_are_no_fault(small: Small) -> None:
    assert facts("rank")["pairs"] == []
    run("rank", "--html", "page.html")
    for place in range(120):
        small.dataset(f"org/d{place:03}", card=None, likes=120 - place, downloads=place // 100, trending_score=0.0)
    pairs = {(p["one"], p["other"]): p for p in facts("rank")["pairs"]}
    assert pairs["likes", "downloads"]["overlaps"][0]["ties"] is True
    assert pairs["likes", "trending_score"]["spearman"] is None
    assert len(pairs) == 3


# Layout


def test_layouts_are_listed_with_their_quality(small: Small) -> None:
    assert facts("layout") == {"layouts": []}
    assert "No layout has been made yet." in run("layout").stdout
    small.dataset("org/d0")
    for number, made_by, quality in ((1, "fit", {"trustworthiness": 0.97, "knn_preservation": 0.5}), (2, "placed", {})):
        small.conn.execute(
            "INSERT INTO layout (layout_id, run_id, input_hash, parameters, points, made_by, changed, quality, created_at)"
            " VALUES (?, 1, 'h', '{\"n_neighbors\": 15}', 1, ?, 7, ?, ?)",
            (number, made_by, json.dumps(quality), NOW),
        )
    small.conn.execute("INSERT INTO position VALUES (2, 1, 0, 0, 'hash1', 1)")
    first, second = facts("layout")["layouts"]
    assert (first["quality"]["trustworthiness"], first["placed"], first["parameters"]) == (0.97, 0, {"n_neighbors": 15})
    assert (second["made_by"], second["placed"], second["quality"]) == ("placed", 1, {})
    done = run("layout", "--html", "page.html")
    assert "0.97" in done.stdout
    assert "0.97" in Path("page.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_a_sentence(small: Small, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "Something went wrong" not in run("layout", "--html", "file/page.html", code=1).stderr
