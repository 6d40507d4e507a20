"""The layout pass: every size, versions, stillness, and what it refuses."""

from __future__ import annotations

import importlib
import inspect
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from engine.errors import PassError
from engine.events import Event, PassFinished, PassStarted
from engine.store.layouts import KEPT_LAYOUTS, read_newest_layout, refit_at
from render.layout import layout, placement, projection
from render.layout.neighbors import cosine_knn, measure_layout
from tests.render.database import blobs, cards, create, put


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = create(tmp_path / "map.sqlite")
    yield connection
    connection.close()


def ensure(conn: sqlite3.Connection, **settings: bool) -> layout.LayoutResult:
    return layout.ensure(conn, run_id=1, emit=lambda _: None, **settings)


def positions(conn: sqlite3.Connection, layout_id: int) -> dict[str, tuple[float, float]]:
    rows = conn.execute(
        "SELECT repo_id, x, y FROM position JOIN dataset USING (dataset_id) WHERE layout_id = ?", (layout_id,)
    )
    return {repo_id: (x, y) for repo_id, x, y in rows}


@pytest.mark.parametrize("n", [1, 2, 3, 10, 17, 40, 150])
def test_every_size(conn: sqlite3.Connection, n: int) -> None:
    put(conn, cards(n))
    result = ensure(conn)
    found = np.array(list(positions(conn, result.layout_id).values()))
    assert found.shape == (n, 2)
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == n
    kept = conn.execute("SELECT count(*) FROM neighbor").fetchone()[0]
    assert kept == n * min(n - 1, layout.KEPT_NEIGHBORS)


def test_identical_cards_and_zero_vectors(conn: sqlite3.Connection) -> None:
    vectors = np.tile(blobs(1), (120, 1))
    vectors[100:] = 0
    put(conn, cards(120, vectors=vectors))
    result = ensure(conn)
    found = np.array(list(positions(conn, result.layout_id).values()))
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == 120


def test_same_inputs_same_coordinates(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        connection = create(tmp_path / name)
        given = cards(200)
        put(connection, given if name == "a" else given[::-1])
        found.append(positions(connection, ensure(connection).layout_id))
        connection.close()
    assert found[0] == found[1]


def test_nothing_changed_is_skipped(conn: sqlite3.Connection) -> None:
    put(conn, cards(20))
    events: list[Event] = []
    first = layout.ensure(conn, run_id=1, emit=events.append)
    second = layout.ensure(conn, run_id=1, emit=events.append)
    assert (first.skipped, second.skipped) == (False, True)
    assert first.layout_id == second.layout_id
    assert [type(e) for e in events] == [PassStarted, PassFinished] * 2
    conn.execute("UPDATE dataset SET likes = 5")
    conn.commit()
    assert ensure(conn).skipped


def test_kept_points_do_not_move_at_all(conn: sqlite3.Connection) -> None:
    given = cards(200)
    put(conn, given)
    before = positions(conn, ensure(conn).layout_id)
    for card in given[:5]:
        card.text += " It has changed."
    assert layout.pending(conn) == 0
    put(conn, [*given[:5], *cards(204)[200:]])
    conn.execute("UPDATE dataset SET on_map = 0 WHERE repo_id = ?", (given[10].repo_id,))
    conn.commit()
    assert layout.pending(conn) == 10
    result = ensure(conn)
    after = positions(conn, result.layout_id)
    assert result.made_by == "placed"
    assert result.changed == pytest.approx(10 / 203)
    same = after.keys() & before.keys() - {c.repo_id for c in given[:5]}
    assert len(same) == 194
    assert all(after[i] == before[i] for i in same)
    assert given[10].repo_id not in after
    newest = read_newest_layout(conn)
    assert newest is not None
    assert newest.changed == 10
    # A card that changes once more is not counted twice.
    given[0].text += " Again."
    put(conn, given[:1])
    assert ensure(conn).changed == pytest.approx(10 / 203)


def test_new_points_lie_among_their_neighbours(conn: sqlite3.Connection) -> None:
    given = cards(200)
    put(conn, given[:195])
    ensure(conn)
    put(conn, given)
    after = positions(conn, ensure(conn).layout_id)
    for card in given[195:]:
        kind = card.repo_id.rpartition("-")[0]
        mates = np.array([p for i, p in after.items() if i.rpartition("-")[0] == kind])
        distance = np.linalg.norm(mates - np.array(after[card.repo_id]), axis=1)
        everything = np.ptp(np.array(list(after.values())), axis=0).max()
        assert np.median(distance) < 0.15 * everything


def test_a_refit_after_many_changes_and_on_demand(conn: sqlite3.Connection) -> None:
    given = cards(200)
    put(conn, given[:150])
    ensure(conn)
    put(conn, given)
    assert ensure(conn, relayout=False).made_by == "placed"
    put(conn, cards(201)[200:])
    result = ensure(conn)
    assert result.made_by == "refit"
    assert result.changed == 0
    put(conn, cards(202)[201:])
    forced = ensure(conn, relayout=True)
    assert (forced.made_by, forced.skipped) == ("refit", False)


def test_a_refit_is_as_good_as_a_fresh_fit_and_moves_little(conn: sqlite3.Connection, tmp_path: Path) -> None:
    given = cards(300)
    put(conn, given[:225])
    before = positions(conn, ensure(conn).layout_id)
    put(conn, given)
    result = ensure(conn)
    assert result.made_by == "refit"
    after = positions(conn, result.layout_id)
    old, new = (np.array([places[i] for i in before]) for places in (before, after))
    moved = np.linalg.norm(new - old, axis=1)
    assert np.median(moved) <= 0.03 * np.linalg.norm(np.ptp(old, axis=0))
    with closing(create(tmp_path / "fresh.sqlite")) as other:
        put(other, given)
        ensure(other)
        fresh, kept = read_newest_layout(other), read_newest_layout(conn)
    assert fresh is not None
    assert kept is not None
    assert kept.quality["trustworthiness"] >= fresh.quality["trustworthiness"] - 0.005


@pytest.mark.parametrize(("points", "changes"), [(1, 1), (2, 1), (10, 2), (427, 85), (5000, 1000)])
def test_a_fifth_of_the_map_is_counted_in_whole_datasets(points: int, changes: int) -> None:
    assert refit_at(points) == changes


def test_a_fifth_in_one_step_is_a_refit(conn: sqlite3.Connection) -> None:
    given = cards(200)
    put(conn, given)
    ensure(conn)
    for card in given[:39]:
        card.text += " Changed."
    put(conn, given)
    assert ensure(conn).made_by == "placed"
    given[39].text += " Changed."
    put(conn, given)
    assert ensure(conn).made_by == "refit"


def test_a_refit_is_held_near_the_old_places() -> None:
    rng = np.random.default_rng(3)
    old = rng.normal(size=(400, 2))
    shared = np.arange(400) < 300
    far = rng.normal(size=(400, 2))
    held = placement.bring_back(far, old, shared)
    moved = np.linalg.norm(held - old, axis=1)[shared]
    across = max(np.linalg.norm(a - b) for a in old[shared] for b in old[shared])
    assert np.median(moved) == pytest.approx(placement.MOST_MOVED * across, rel=0.01)
    assert placement.diameter(old[shared]) == pytest.approx(across, rel=0.001)
    # What is new goes where the fit has it, and a fit that stays near is taken as it is.
    assert np.allclose(held[~shared], placement.align(far, old, shared)[~shared])
    close = old + 0.001 * far
    assert np.allclose(placement.bring_back(close, old, shared), placement.align(close, old, shared))


def test_another_embedder_is_a_fresh_start(conn: sqlite3.Connection) -> None:
    put(conn, cards(30))
    ensure(conn)
    conn.execute("UPDATE spec SET spec_hash = 'another' WHERE stage = 'embed'")
    conn.commit()
    assert ensure(conn).made_by == "fit"


def test_nothing_to_lay_out(conn: sqlite3.Connection) -> None:
    with pytest.raises(PassError, match="nothing to lay out"):
        ensure(conn)


def test_a_failure_stores_nothing(conn: sqlite3.Connection) -> None:
    put(conn, cards(5))
    conn.execute("CREATE TRIGGER stop BEFORE INSERT ON neighbor BEGIN SELECT raise(ABORT, 'no'); END")
    conn.commit()
    with pytest.raises(sqlite3.IntegrityError):
        ensure(conn)
    assert conn.execute("SELECT count(*) FROM layout").fetchone() == (0,)
    assert not conn.in_transaction


def test_quality_is_stored(conn: sqlite3.Connection) -> None:
    put(conn, cards(200))
    ensure(conn)
    newest = read_newest_layout(conn)
    assert newest is not None
    assert set(newest.quality) == {"trustworthiness", "knn_preservation", "subject_purity"}
    assert newest.quality["trustworthiness"] > 0.9
    assert newest.quality["subject_purity"] > 0.9


def test_quality_of_a_perfect_and_a_shuffled_plane() -> None:
    rng = np.random.default_rng(0)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 300))
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    vectors = circle.astype(np.float32)
    knn, _ = cosine_knn(vectors, 16)
    good = measure_layout(vectors, knn, circle, [None] * 300)
    assert good["trustworthiness"] > 0.999
    assert good["knn_preservation"] > 0.99
    bad = measure_layout(vectors, knn, circle[rng.permutation(300)], ["a", "b"] * 150)
    assert bad["trustworthiness"] < 0.6
    assert 0.4 < bad["subject_purity"] < 0.6
    assert measure_layout(vectors[:3], knn[:3], circle[:3], ["a"] * 3) == {}


def test_trustworthiness_is_scikit_learns() -> None:
    from sklearn.manifold import trustworthiness

    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(120, 8)).astype(np.float32)
    plane = vectors[:, :2].astype(np.float64)
    knn, _ = cosine_knn(vectors, 16)
    measured = measure_layout(vectors, knn, plane, [None] * 120)["trustworthiness"]
    assert measured == pytest.approx(trustworthiness(vectors, plane, n_neighbors=15, metric="cosine"), abs=1e-3)


def test_a_layout_lies_down_and_keeps_its_shape() -> None:
    upright = np.random.default_rng(1).normal(size=(300, 2)) * [1.0, 4.0] + [5.0, -2.0]
    lying = projection.lying(upright)
    wide, high = np.ptp(lying, axis=0)
    assert wide > 2 * high
    sides = [np.linalg.norm(plane[1:] - plane[:-1], axis=1) for plane in (upright, lying)]
    np.testing.assert_allclose(*sides)
    turned = np.linalg.det(np.linalg.lstsq(upright - upright.mean(axis=0), lying, rcond=None)[0])
    assert turned == pytest.approx(1), "turned, not mirrored"
    np.testing.assert_allclose(projection.lying(lying), lying, atol=1e-9)


def test_align_undoes_a_similarity_transform() -> None:
    rng = np.random.default_rng(2)
    old = rng.normal(size=(50, 2))
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    mirrored = (old * [1, -1]) @ turn * 3.5 + [10, -4]
    shared = np.arange(50) < 40
    assert np.allclose(placement.align(mirrored, old, shared), old)
    assert np.isfinite(placement.align(np.zeros((50, 2)), old, shared)).all()


def test_coordinates_of_old_layouts_are_dropped_but_not_those_of_the_topics(conn: sqlite3.Connection) -> None:
    put(conn, cards(20))
    first = ensure(conn).layout_id
    conn.execute(
        "INSERT INTO topic_tree (run_id, layout_id, input_hash, parameters, layers, created_at)"
        " VALUES (1, ?, '', '{}', 1, '')",
        (first,),
    )
    conn.commit()
    for _ in range(KEPT_LAYOUTS + 2):
        ensure(conn, relayout=True)
    layouts = [i for (i,) in conn.execute("SELECT layout_id FROM layout ORDER BY layout_id DESC")]
    placed = {i for (i,) in conn.execute("SELECT DISTINCT layout_id FROM position")}
    assert len(layouts) == KEPT_LAYOUTS + 3
    assert placed == {*layouts[:KEPT_LAYOUTS], first}


def test_what_umap_compiles_is_kept_on_disk(conn: sqlite3.Connection) -> None:
    """Its authors did not ask numba for it (umap-learn 0.5): this takes most of a fit's time, in every process."""
    put(conn, cards(20))
    ensure(conn)
    function = importlib.import_module("umap.umap_").smooth_knn_dist
    asked = inspect.getsource(function.py_func).partition("def ")[0]
    assert asked.startswith("@numba.njit(")
    assert "cache=" not in asked, "umap-learn asks for it itself now: keep_compiled can go"
    assert function.stats.cache_path
