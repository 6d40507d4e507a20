"""The topics pass: every size, names with and without a model, and topics that live on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import BudgetReachedError, HfmapError, PassError, StoppedError, TransientError, UsageError
from engine.events import Event, ItemDone, ItemFailed, PassFinished, PassStarted, Subscriber
from engine.store.layouts import Points, read_newest_layout
from engine.store.topics import KEPT_TREES, Topic, TopicPlace, TopicTree, read_newest_tree, rename_topic
from render.layout import layout
from render.topics import clusters, grouping, model_naming, topics, wording
from render.topics.documents import TopicDocument
from render.topics.naming import LocalName
from tests.render.database import Card, blobs, cards, create, put
from tests.render.naming_double import Encoder, Namer, letters, name_answer


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = create(tmp_path / "map.sqlite")
    yield connection
    connection.close()


def ensure(
    conn: sqlite3.Connection,
    namer: Namer | None = None,
    *,
    relayout: bool | None = None,
    max_topics: int = 400,
    emit: Subscriber = lambda _: None,
) -> topics.TopicsResult:
    made = layout.ensure(conn, run_id=1, emit=emit, relayout=relayout)
    return topics.ensure(
        conn,
        run_id=1,
        layout_id=made.layout_id,
        namer=namer,
        emit=emit,
        text_encoder=None if namer is None else Encoder(),
        max_topics=max_topics,
    )


def newest(conn: sqlite3.Connection) -> TopicTree:
    found = read_newest_tree(conn)
    assert found is not None
    return found


def check(conn: sqlite3.Connection) -> TopicTree:
    """What holds of every tree."""
    found = newest(conn)
    layers: dict[int, list[Topic]] = {}
    for topic in found.topics:
        layers.setdefault(topic.place[0], []).append(topic)
        assert topic.name
        assert len(topic.name.split()) <= wording.MOST_WORDS
        assert topic.members
        assert set(topic.exemplars) <= set(topic.members)
        assert topic.parent is None or topic.parent[0] < topic.place[0]
    for layer in layers.values():
        assert len({wording.folded(t.name) for t in layer}) == len(layer)
        members = [m for t in layer for m in t.members]
        assert len(members) == len(set(members))
    sizes = conn.execute(
        "SELECT t.size, count(m.dataset_id) FROM topic t LEFT JOIN topic_member m ON m.topic_id = t.topic_id"
        " GROUP BY t.topic_id"
    ).fetchall()
    assert all(size == members for size, members in sizes)
    return found


def planned_calls(conn: sqlite3.Connection, points: int = 240) -> int:
    """The names that the pass would ask a model for if nothing changed."""
    return topics.plan(conn, points=points).calls


@pytest.mark.parametrize("n", [1, 2, 3, 10, 39, 40, 80, 150])
def test_every_size(conn: sqlite3.Connection, n: int) -> None:
    put(conn, cards(n))
    result = ensure(conn)
    found = check(conn)
    assert len(found.topics) == result.topics >= 1
    if n < 40:
        assert [t.name for t in found.topics] == ["All Datasets"]
        assert len(found.topics[0].members) == n


def test_names_say_what_the_groups_are_about(conn: sqlite3.Connection) -> None:
    put(conn, cards(240))
    ensure(conn)
    names = {t.name for t in check(conn).topics if t.place[0] == 0}
    assert {"Speech Recognition", "Machine Translation", "Sentiment Analysis", "Image Classification"} <= names
    shown = conn.execute("SELECT topic_0 FROM datasets WHERE repo_id LIKE 'org/speech-%'").fetchall()
    assert ("Speech Recognition",) in shown


@pytest.mark.parametrize("zeros", [False, True])
def test_identical_cards(conn: sqlite3.Connection, zeros: bool) -> None:
    vectors = np.zeros((150, 8)) if zeros else np.ones((150, 8))
    put(conn, cards(150, vectors=vectors.astype(np.float32)))
    ensure(conn)
    check(conn)


def test_nothing_changed_is_skipped(conn: sqlite3.Connection) -> None:
    put(conn, cards(120))
    made = layout.ensure(conn, run_id=1, emit=lambda _: None)
    events: list[Event] = []
    for _ in range(2):
        topics.ensure(conn, run_id=1, layout_id=made.layout_id, namer=None, emit=events.append)
    finished = [e for e in events if isinstance(e, PassFinished)]
    assert [e.skipped for e in finished] == [False, True]
    assert sum(isinstance(e, PassStarted) for e in events) == 2
    assert sum(isinstance(e, ItemDone) for e in events) == len(newest(conn).topics)
    conn.execute("UPDATE dataset SET likes = 99, downloads = 5")
    conn.commit()
    assert ensure(conn).skipped
    conn.execute("UPDATE dataset SET pretty_name = 'Another Name' WHERE dataset_id = 1")
    conn.commit()
    assert not ensure(conn).skipped


def test_stored_maps_hold() -> None:
    """Hashes of a first release: under others, every map would be laid out, and its topics found and paid for, anew."""
    points = Points([1], ["org/a"], ["text"], [5], "spec")
    assert layout.input_hash_of(points) == "aae9fe047e24e4f3b0b4b6b66501a2d1"
    inputs = topics._Inputs(7, 400, [("org/a", None, "b")])
    assert inputs.hash(by_model=True) == "c6a655cb08865551b908adf4fe6949e1"


def test_two_databases_with_the_same_cards_have_the_same_topics(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        connection = create(tmp_path / name)
        put(connection, cards(160))
        ensure(connection)
        found.append([(t.place, t.name, t.key_phrases, t.exemplars) for t in newest(connection).topics])
        connection.close()
    assert found[0] == found[1]


def test_a_model_names_and_its_calls_are_known_beforehand(conn: sqlite3.Connection) -> None:
    put(conn, cards(240))
    assert planned_calls(conn, 240) == topics.expected(240, 400)
    layout.ensure(conn, run_id=1, emit=lambda _: None)
    planned = planned_calls(conn)
    namer = Namer()
    ensure(conn, namer)
    found = check(conn)
    assert len(namer.prompts) == planned > 0
    assert {t.named_by for t in found.topics} == {"double"}
    assert all(t.name.startswith("Named ") for t in found.topics)
    system, user = namer.prompts[0]
    assert "collection of the top 240 HuggingFace datasets ranked by likes" in system
    assert '    * """' in user
    assert planned_calls(conn) == 0
    assert ensure(conn, namer).skipped
    assert ensure(conn, None).skipped
    assert len(namer.prompts) == planned


def test_prompts_are_toponymys() -> None:
    """Two layers: a topic of two parts, and one with a single part, which bears that part's name and is not asked for."""
    documents = [
        TopicDocument(i, f"org/set-{i}", f"Set {i}", (), "", "", "", "", f"About {'abc'[i // 4]}.") for i in range(12)
    ]
    fine = np.arange(12) // 4
    tree = model_naming.UnnamedTree(
        documents=documents,
        vectors=np.eye(12, 4, dtype=np.float32) + 1,
        layers=[np.minimum(fine, 1), fine],
        parents=[[None, None], [(0, 0), (0, 1), (0, 1)]],
        kept={},
        spare=[[LocalName("A", ["wide"])] * 2, [LocalName("B", ["narrow", "phrases"])] * 3],
        corpus="collection of twelve",
        most_calls=9,
    )
    namer, told = Namer(), list[str]()
    found = model_naming.name_layers(tree, namer, Encoder(), told.extend)
    assert found.names[1] == [("Named a", True), ("Named b", True), ("Named c", True)]
    assert found.names[0] == [("Named a", True), ("Named d", True)]
    assert told == ["Named a", "Named b", "Named c", "Named a", "Named d"]
    assert not found.unanswered
    (system, user), coarse = namer.prompts[0], namer.prompts[3]
    assert "collection of twelve" in system
    assert "clear and concise (3 to 6 word)" in system + user
    assert '    * """Set 0\norg/set-0\nAbout a."""\n' in user
    assert "About b." not in user
    assert "narrow, phrases" in user
    assert "simple (1 or 2 word)" in "".join(coarse)
    assert "Named b" in coarse[1]
    assert "Named c" in coarse[1]
    assert "Named a" not in coarse[1]


@pytest.mark.parametrize(("points", "counted"), [(160, 16), (424, 37), (5_000, 217), (5_000, 235), (100_000, 400)])
def test_topics_of_maps_of_real_cards_are_foreseen(points: int, counted: int) -> None:
    assert 0.85 * counted <= topics.expected(points, 400) <= 1.15 * counted


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no JSON at all",
        '{"topic_name": "", "topic_specificity": 1}',
        name_answer("One two three four five six seven words"),
        name_answer("Always The Same"),
        name_answer("---"),
    ],
)
def test_answers_that_are_no_names(conn: sqlite3.Connection, answer: str) -> None:
    put(conn, cards(120))
    namer = Namer(lambda *_: answer)
    ensure(conn, namer)
    found = check(conn)
    assert sum(t.name == "Always The Same" for t in found.topics) <= found.layers
    assert "key-phrases" in {t.named_by for t in found.topics}
    # A model that knew no name is not asked again, and paid again, at each refresh.
    asked = len(namer.prompts)
    put(conn, [replace(cards(1)[0], text="Changed.")])
    assert not ensure(conn, namer).skipped
    assert len(namer.prompts) == asked


def test_a_title_from_the_documents_is_no_name(conn: sqlite3.Connection) -> None:
    put(conn, cards(120))
    namer = Namer(lambda _n, _s, user: name_answer(user.partition('"""')[2].partition("\n")[0]))
    ensure(conn, namer)
    titles = {wording.folded(row[0]) for row in conn.execute("SELECT pretty_name FROM dataset")}
    assert not titles & {wording.folded(t.name) for t in check(conn).topics}


def test_bad_names_are_asked_for_once_more(conn: sqlite3.Connection) -> None:
    put(conn, cards(120))

    def answer(number: int, _system: str, user: str) -> str:
        return (
            name_answer(f"Second Try {'abcdefghijklmnopqrstuvwxyz'[number % 26]}")
            if "at most six words" in user
            else "?"
        )

    namer = Namer(answer)
    ensure(conn, namer)
    assert all(t.name.startswith("Second Try") for t in check(conn).topics)


class Failing(Namer):
    """Gives the first `answers`, then meets an error with every question."""

    def __init__(self, answers: int, error: HfmapError) -> None:
        super().__init__()
        self._answers, self._error = answers, error

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> list[str | HfmapError]:
        given = super().complete_many(prompts[: max(0, self._answers - len(self.prompts))], max_tokens)
        return [*given, *[self._error] * (len(prompts) - len(given))]


@pytest.mark.parametrize("error", [BudgetReachedError("The budget is spent."), TransientError("HTTP 503")])
def test_names_that_were_answered_are_kept_when_the_rest_is_not(conn: sqlite3.Connection, error: HfmapError) -> None:
    put(conn, cards(240))
    seen: list[Event] = []
    result = ensure(conn, Failing(3, error), emit=seen.append)
    found = check(conn)
    local = [t.name for t in found.topics if t.named_by == "key-phrases"]
    # A topic with a single part bears that part's name, whoever gave it.
    assert 0 < result.unanswered <= len(local) <= result.topics - 3
    fatal = isinstance(error, BudgetReachedError)
    assert result.error is (error if fatal else None)
    failed = [e.item for e in seen if isinstance(e, ItemFailed)]
    assert len(failed) == (0 if fatal else result.unanswered)
    assert set(failed) <= set(local)
    assert ensure(conn, None).skipped

    namer = Namer(lambda number, *_: name_answer(f"Later {letters(number)}"))
    assert planned_calls(conn) == result.unanswered
    assert ensure(conn, namer).unanswered == 0
    assert len(namer.prompts) == result.unanswered
    assert {t.named_by for t in check(conn).topics} == {"double"}
    assert ensure(conn, namer).skipped


class Interrupted(Namer):
    """Ctrl-C is pressed after its first layer."""

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> list[str | HfmapError]:
        if self.prompts:
            raise KeyboardInterrupt
        return super().complete_many(prompts, max_tokens)


def test_names_of_finished_layers_are_kept_when_ctrl_c_is_pressed_between_two(conn: sqlite3.Connection) -> None:
    put(conn, cards(240))
    namer = Interrupted()
    result = ensure(conn, namer)
    found = check(conn)
    assert isinstance(result.error, StoppedError)
    assert sum(t.named_by == "double" for t in found.topics) == len(namer.prompts)
    assert 0 < planned_calls(conn) <= result.unanswered == result.topics - len(namer.prompts)


def test_a_namer_needs_an_encoder(conn: sqlite3.Connection) -> None:
    put(conn, cards(3))
    made = layout.ensure(conn, run_id=1, emit=lambda _: None)
    with pytest.raises(PassError):
        topics.ensure(conn, run_id=1, layout_id=made.layout_id, namer=Namer(), emit=lambda _: None)


@pytest.mark.parametrize("most", [1, 2, 6, 12])
def test_max_topics_bounds_topics_and_calls(conn: sqlite3.Connection, most: int) -> None:
    put(conn, cards(400, vectors=blobs(400, groups=16)))
    namer = Namer()
    result = ensure(conn, namer, max_topics=most)
    check(conn)
    assert 1 <= result.topics <= most
    assert len(namer.prompts) <= most


def changed(conn: sqlite3.Connection, given: list[Card], share: float) -> None:
    some = given[:: round(1 / share)]
    for card in some:
        card.text += " Changed."
    put(conn, some)


@pytest.mark.parametrize(("share", "stay"), [(0.01, 0.95), (0.05, 0.9), (0.2, 0.75)])
def test_topics_live_on(conn: sqlite3.Connection, share: float, stay: float) -> None:
    given = cards(400)
    put(conn, given)
    namer = Namer()
    ensure(conn, namer)
    before = {t.lasting_id: t.name for t in newest(conn).topics}
    asked = len(namer.prompts)
    changed(conn, given, share)
    result = ensure(conn, namer)
    after = {t.lasting_id: t.name for t in check(conn).topics}
    assert not result.skipped
    assert sum(after.get(i) == name for i, name in before.items()) >= stay * len(before)
    assert len(namer.prompts) - asked <= (1 - stay) * len(before)


def test_topics_outlive_a_map_that_is_laid_out_again(conn: sqlite3.Connection) -> None:
    given = cards(400)
    put(conn, given)
    ensure(conn)
    before = newest(conn)
    for share, made_by in ((0.01, "placed"), (0.05, "placed"), (0.2, "refit")):
        changed(conn, given, share)
        ensure(conn)
        found = read_newest_layout(conn)
        assert found is not None
        assert found.made_by == made_by
        after = check(conn)
        assert after.made_by == "carried"
        names = {t.lasting_id: t.name for t in after.topics}
        assert sum(names.get(t.lasting_id) == t.name for t in before.topics) >= 0.75 * len(before.topics)
        before = after
    # A third of the map is new since topics were found: they are found again.
    put(conn, cards(540)[400:])
    ensure(conn)
    assert check(conn).made_by == "clustered"


def test_what_has_strayed_in_a_new_layout_joins_the_topics_there(conn: sqlite3.Connection) -> None:
    given = cards(200)
    put(conn, given)
    first = layout.ensure(conn, run_id=1, emit=lambda _: None).layout_id
    ensure(conn)
    old = newest(conn)
    ground = grouping.read_ground(conn, first)
    topic, other = (t for t in old.topics if t.place[0] == 0 and t.place[1] < 2)
    stray, mate = topic.members[0], other.members[0]
    rows = {i: row for row, i in enumerate(ground.ids)}
    ground.plane[rows[stray]] = ground.plane[rows[mate]] + 1e-6
    found = grouping.group(conn, ground, old, old.parameters, 400)
    members = {t.place: t.members for t in found.topics}
    assert found.made_by == "carried"
    assert stray not in members[topic.place]
    assert stray in members[other.place]
    # Another layout altogether is not what the topics were found on.
    ground.plane[:] = np.random.default_rng(0).permutation(ground.plane)
    assert grouping.group(conn, ground, old, old.parameters, 400).made_by == "clustered"


def test_the_pass_tells_what_it_would_do(conn: sqlite3.Connection) -> None:
    assert topics.plan(None, points=clusters.FEWEST_POINTS - 1) == topics.TopicsPlan(0)
    assert topics.plan(None, points=240) == topics.TopicsPlan(topics.expected(240, 400))
    assert topics.plan(None, points=240, max_topics=6) == topics.TopicsPlan(6)
    put(conn, cards(240))
    made = ensure(conn)
    # Topics are carried over, and a model may better all of their names.
    assert topics.plan(conn, points=240, changed=20) == topics.TopicsPlan(made.topics)
    namer = Namer()
    ensure(conn, namer)
    assert topics.plan(conn, points=240) == topics.TopicsPlan(0, made.topics, skipped=True)
    assert topics.plan(conn, points=240, changed=20) == topics.TopicsPlan(0, made.topics)
    assert topics.plan(conn, points=240, changed=80) == topics.TopicsPlan(topics.expected(240, 400))
    changed(conn, cards(240), 20 / 240)
    assert ensure(conn, namer).kept >= 0.9 * made.topics


def test_only_new_topics_are_asked_for(conn: sqlite3.Connection) -> None:
    put(conn, cards(240))
    namer = Namer()
    ensure(conn, namer)
    asked = len(namer.prompts)
    far = cards(320, vectors=blobs(320, groups=3, seed=9))[240:]
    put(conn, far)
    made = layout.ensure(conn, run_id=1, emit=lambda _: None, relayout=False)
    planned = planned_calls(conn)
    result = topics.ensure(
        conn, run_id=1, layout_id=made.layout_id, namer=namer, emit=lambda _: None, text_encoder=Encoder()
    )
    check(conn)
    assert result.kept > 0
    assert len(namer.prompts) - asked == planned


def test_a_persons_name_stays(conn: sqlite3.Connection) -> None:
    given = cards(400)
    put(conn, given)
    ensure(conn)
    topic = newest(conn).topics[-1]
    assert topic.lasting_id is not None
    rename_topic(conn, topic.lasting_id, "  What I\n call it ")
    changed(conn, given, 0.2)
    ensure(conn, Namer())
    renamed = next(t for t in newest(conn).topics if t.lasting_id == topic.lasting_id)
    assert (renamed.name, renamed.named_by) == ("What I call it", "person")


def test_renaming_refuses(conn: sqlite3.Connection) -> None:
    put(conn, cards(240))
    ensure(conn)
    one, two = newest(conn).topics[:2]
    assert one.lasting_id is not None
    with pytest.raises(UsageError, match="empty"):
        rename_topic(conn, one.lasting_id, "  ")
    with pytest.raises(UsageError, match="no topic"):
        rename_topic(conn, 10**6, "Name")
    with pytest.raises(UsageError, match="same layer"):
        rename_topic(conn, one.lasting_id, two.name.upper())


def test_names_by_key_phrases_give_way_to_a_model(conn: sqlite3.Connection) -> None:
    put(conn, cards(160))
    ensure(conn)
    ids = {t.lasting_id for t in newest(conn).topics}
    namer = Namer()
    assert not ensure(conn, namer).skipped
    found = check(conn)
    assert {t.named_by for t in found.topics} == {"double"}
    assert {t.lasting_id for t in found.topics} == ids


def test_hostile_cards_and_answers(conn: sqlite3.Connection) -> None:
    given = cards(120)
    for number, card in enumerate(given):
        card.pretty_name = ["<img src=x onerror=alert(1)>", "\u202e\u202d \x1b[31m", "", "'; DROP TABLE topic; --"][
            number % 4
        ]
        card.text = ["", "{{ 7 * 7 }}\n" * 50, "\ud800".encode("utf-8", "replace").decode(), "[!SKIP!]: x"][
            number % 4
        ] + f" {number}"
        card.columns = {"metadata": '{"task_categories": {"a": 1}, "task_ids": [null, 3, "x"]}'}
    put(conn, given)
    ensure(conn)
    check(conn)
    ensure(conn, Namer(lambda *_: name_answer("<script>\\u0007alert(1)</script>\\n")), relayout=True)
    assert all(t.name.isprintable() for t in check(conn).topics)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (name_answer("Speech Recognition"), "Speech Recognition"),
        ('Sure! {"topic_name": "A \\"quoted\\" name", "topic_specificity": 1}', 'A "quoted" name'),
        ('{"topic_name": "Caf\\u00e9 \\ud83d\\ude00", "x": 1}', "Café 😀"),
        ('{"topic_name": "lone \\ud83d half"}', "lone half"),
        ('{"topic_name": "bad \\x escape"}', "bad x escape"),
        ('{"topic_name": "two\nlines\u0000"}', "two lines"),
        ('{"topic_name": "**Bold**"}', "Bold"),
        ('{"topic_name": 7}', ""),
        ('{"topic_name": "never ends', ""),
        ("[]", ""),
    ],
)
def test_a_name_is_found_in_an_answer(answer: str, name: str) -> None:
    assert model_naming.name_in(answer) == name


def test_carrying_over_keeps_ids_and_lets_new_datasets_join() -> None:
    old = TopicTree(1, "", {}, "clustered", 0)
    old.topics = [
        Topic((0, 0), "Left", "m", [], [1, 2], None, [1, 2, 3], 7),
        Topic((0, 1), "Gone", "m", [], [9], None, [9], 8),
        Topic((1, 0), "Left Part", "m", [], [1], (0, 0), [1, 2], 9),
        Topic((1, 1), "Gone Part", "m", [], [9], (0, 1), [9], 10),
    ]
    places = {1: (0.0, 0.0), 2: (0.1, 0.0), 3: (0.0, 0.1), 4: (5.0, 5.0), 5: (5.0, 5.1), 6: (0.05, 0.05)}
    carried = grouping.carry(old, places, kept=[1, 2, 3, 4, 5])
    assert [(t.place, t.name, t.members, t.parent, t.lasting_id) for t in carried] == [
        ((0, 0), "Left", [1, 2, 3, 6], None, 7),
        ((1, 0), "Left Part", [1, 2], (0, 0), 9),
    ]


def test_topics_are_matched_one_to_one_and_by_their_exemplars() -> None:
    def topic(place: TopicPlace, members: range, exemplars: list[int]) -> Topic:
        return Topic(place, "", "", [], exemplars, None, list(members))

    old = [topic((0, 0), range(10), [0, 1]), topic((0, 1), range(20, 30), [20, 21])]
    new = [topic((0, 0), range(20, 28), []), topic((0, 1), range(9), []), topic((1, 0), range(8), [])]
    found = grouping.match(old, new, unchanged=range(100))
    assert found == {(0, 0): old[1], (0, 1): old[0]}
    assert grouping.match(old, new, unchanged=range(2, 100)) == {(0, 0): old[1]}


def test_a_persons_name_goes_before_an_equal_one() -> None:
    """In a new tree two topics of one layer may claim a name: in the old one they were in different layers."""

    def topic(place: TopicPlace, name: str, named_by: str, lasting_id: int | None = None) -> Topic:
        return Topic(place, name, named_by, ["phrase"], [1], None, [1], lasting_id)

    new = [topic((0, 0), "", "key-phrases"), topic((0, 1), "", "key-phrases")]
    old = {(0, 0): topic((0, 0), "Mine", "key-phrases", 5), (0, 1): topic((1, 0), "mine", "person", 6)}
    found = grouping.Grouping(new, [np.array([0, 1])], old, "clustered", 0)
    assert topics._keep_names(found, better=False) == {(0, 1): "mine"}
    assert [t.lasting_id for t in new] == [5, 6]


def test_members_of_old_trees_are_dropped(conn: sqlite3.Connection) -> None:
    put(conn, cards(60))
    for most in range(3, 11):
        ensure(conn, max_topics=most)
    trees = [tree_id for (tree_id,) in conn.execute("SELECT tree_id FROM topic_tree ORDER BY tree_id DESC")]
    with_members = {tree_id for (tree_id,) in conn.execute("SELECT DISTINCT tree_id FROM topic_member")}
    assert len(trees) == 8
    assert with_members == set(trees[:KEPT_TREES])
