"""Key phrases, the names made from them, and the groups they belong to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from render.topics import clusters, keyphrases, naming, wording, words
from render.topics.candidates import last_resort
from render.topics.documents import TopicDocument, tasks_of


def document(
    number: int, body: str, *, title: str = "", tasks: tuple[str, ...] = (), language: str = ""
) -> TopicDocument:
    return TopicDocument(number, f"org/{number}", title or f"Set {number}", tasks, "", language, "", "", body)


@pytest.mark.parametrize(
    ("word", "counted"),
    [
        ("Reviews", "review"),
        ("queries", "query"),
        ("classes", "class"),
        ("boxes", "box"),
        ("news", "news"),
        ("analysis", "analysis"),
        ("robotics", "robotics"),
        ("corpus", "corpus"),
        ("gas", "gas"),
        ("model’s", "model"),
    ],
)
def test_singular(word: str, counted: str) -> None:
    assert keyphrases.singular(word) == counted


def found(text: str) -> set[str]:
    return {phrase for _, phrase in keyphrases.candidates(text)}


def test_phrases_end_at_punctuation_and_stop_words() -> None:
    phrases = found("Legal contracts, and the court rulings of German judges.")
    assert {"Legal contracts", "court rulings", "German judges"} <= phrases
    assert not any("and" in p.split() or "of" in p.split() for p in phrases)
    assert "contracts court" not in phrases


def test_no_headings_code_or_fragments() -> None:
    text = "Dataset Description Data Splits answer_start answerKey lang1 The dataset contains a training split"
    assert found(text) == set()


def test_hyphens_do_not_tell_phrases_apart() -> None:
    assert keyphrases.key_of("Question-Answering") == keyphrases.key_of("question answering")


def test_a_phrase_inside_another_is_left_out() -> None:
    papers = [document(i, "hate speech detection") for i in range(4)] + [document(i, "robots") for i in range(4, 8)]
    vocabulary = keyphrases.vocabulary(papers)
    assert ("hate", "speech", "detection") in vocabulary.keys
    assert ("hate", "speech") not in vocabulary.keys


def test_phrases_of_groups_are_theirs_alone() -> None:
    papers = [document(i, "protein folding. shared word" if i < 5 else "stock market. shared word") for i in range(10)]
    labels = np.array([0] * 5 + [1] * 5)
    first, second = keyphrases.of_groups(keyphrases.vocabulary(papers), labels)
    assert first[0].text == "protein folding"
    assert second[0].text == "stock market"
    assert first[0].coverage == 1.0
    assert "shared word" not in {p.text for p in (*first, *second)}


def test_empty_documents_have_no_phrases() -> None:
    papers = [document(i, "", title="0") for i in range(3)]
    vocabulary = keyphrases.vocabulary(papers)
    assert vocabulary.keys == []
    assert keyphrases.of_groups(vocabulary, np.zeros(3, dtype=np.int64)) == [[]]


def test_tasks_come_in_words_and_once() -> None:
    facts = {
        "task_categories": ["question-answering", "other"],
        "task_ids": ["token-classification-other-ner", 5, None],
    }
    assert tasks_of(facts) == ("question answering", "ner")
    assert tasks_of({"task_categories": "not a list"}) == ()


@pytest.mark.parametrize(
    ("tag", "task"),
    [
        ("table-to-text", "data to text"),
        ("rdf-to-text", "data to text"),
        ("other-other-data-to-text-generation", "data to text"),
        ("text2text-generation-other-meaning-representation-to-text", "data to text"),
        ("image-to-text", "image to text"),
        ("other-relation-extraction", "relation extraction"),
    ],
)
def test_one_task_by_many_tags_is_one_task(tag: str, task: str) -> None:
    assert tasks_of({"task_ids": [tag]}) == (task,)


def test_tasks_that_a_card_only_mentions_count_less_than_those_of_its_tags() -> None:
    papers = [
        *(document(i, "Useful for semantic parsing.", tasks=("paraphrase generation",)) for i in range(4)),
        *(document(i, "x", tasks=("semantic parsing",)) for i in range(4, 6)),
        *(document(i, "x", tasks=("translation",)) for i in range(6, 16)),
    ]
    labels = np.array([0] * 4 + [1] * 2 + [2] * 10)
    mentioned, tagged, _ = keyphrases.of_groups(keyphrases.vocabulary(papers), labels)
    assert [p.coverage for p in mentioned if p.text == "semantic parsing"] == [0.5]
    assert [p.coverage for p in tagged if p.text == "semantic parsing"] == [1.0]


def test_a_part_of_texts_in_general_is_called_after_the_whole() -> None:
    web = [replace(document(i, "x", tasks=("translation",)), subject="general web text") for i in range(6)]
    rest = [document(i, "x", tasks=("translation",)) for i in range(6, 14)]
    others = [document(i, "y", tasks=("question answering",)) for i in range(14, 28)]
    layers = [np.array([0] * 14 + [1] * 14), np.array([0] * 6 + [1] * 8 + [2] * 14)]
    assert "Web Text" not in name(layers, [*web, *rest, *others])[1]


def name(layers: list[np.ndarray], papers: list[TopicDocument]) -> list[list[str]]:
    named = naming.name_layers(
        papers, keyphrases.vocabulary(papers), layers, clusters.parents(layers), lambda _d, g: g, {}
    )
    return [[n.name for n in layer] for layer in named]


def test_a_language_is_part_of_a_name() -> None:
    papers = [document(i, "x", tasks=("sentiment analysis",), language="Arabic") for i in range(6)]
    papers += [document(i, "x", tasks=("translation",), language="English") for i in range(6, 14)]
    labels = np.array([0] * 6 + [1] * 8)
    assert name([labels], papers) == [["Arabic Sentiment Analysis", "Machine Translation"]]


def test_parts_have_names_of_their_own() -> None:
    papers = [document(i, "x", tasks=("question answering", "extractive qa")) for i in range(6)]
    papers += [document(i, "x", tasks=("question answering", "multiple choice qa")) for i in range(6, 12)]
    papers += [document(i, "x", tasks=("translation",)) for i in range(12, 30)]
    coarse = np.array([0] * 12 + [1] * 18)
    fine = np.array([0] * 6 + [1] * 6 + [2] * 18)
    assert name([coarse, fine], papers) == [
        ["Question Answering", "Machine Translation"],
        ["Extractive QA", "Multiple-Choice QA", "Machine Translation"],
    ]


def test_groups_without_phrases_are_named_after_their_exemplar() -> None:
    papers = [document(i, "", title=f"The {'ABC'[i // 4]}lpha Dataset") for i in range(12)]
    labels = np.arange(12) // 4
    names = name([labels], papers)[0]
    assert len(set(names)) == 3
    assert all(n for n in names)


def test_names_that_are_alike_get_a_number() -> None:
    taken = {wording.folded("Speech Recognition"), wording.folded("Speech Recognition 2")}
    assert wording.unlike("speech recognitions", taken) == "speech recognitions 3"
    assert wording.unlike("one two three four five six", {wording.folded("one two three four five six")}) == (
        "one two three four five 2"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("question answering", "Question Answering"),
        ("retrieval for llms", "Retrieval for LLMs"),
        ("of mice and men", "Of Mice and Men"),
        ("SQuAD style", "SQuAD Style"),
        ("cross-lingual qa", "Cross-Lingual QA"),
    ],
)
def test_title_case(text: str, shown: str) -> None:
    assert wording.title_case(text) == shown


def test_few_or_equal_points_are_one_group() -> None:
    for plane in (np.zeros((1, 2)), np.zeros((500, 2)), np.random.default_rng(0).normal(size=(39, 2))):
        (labels,) = clusters.find(plane)
        assert (labels == 0).all()


def test_groups_are_the_same_every_time() -> None:
    rng = np.random.default_rng(3)
    # Whole numbers, so that many distances are equal.
    plane = rng.integers(0, 30, size=(800, 2)).astype(np.float64)
    first = clusters.find(plane)
    assert all(np.array_equal(a, b) for a, b in zip(first, clusters.find(plane), strict=True))


def test_parents_hold_most_of_their_parts() -> None:
    coarse = np.array([0, 0, 0, 1, 1, -1, -1])
    fine = np.array([0, 0, 1, 1, 1, 2, 2])
    assert clusters.parents([coarse, fine]) == [[None, None], [(0, 0), (0, 1), None]]


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ("NER", "named entity recognition", True),
        ("open-domain QA", "open domain question answering", True),
        ("POS", "part of speech", True),
        ("dialog", "conversational", True),
        ("conversational", "dialogue modeling", False),
        ("question answering", "summarization", False),
        ("entity recognition", "named entity recognition", False),
    ],
)
def test_abbreviations_are_the_same_phrase(first: str, second: str, alike: bool) -> None:
    assert words.same(keyphrases.key_of(first), keyphrases.key_of(second)) is alike


def test_a_name_is_not_joined_with_its_abbreviation() -> None:
    entity = [document(i, "NER of names. NER", tasks=("named entity recognition",)) for i in range(4)]
    inference = [document(i, "entailment", tasks=("natural language inference",)) for i in range(4, 8)]
    rest = [document(i, "x", tasks=("translation",)) for i in range(8, 30)]
    labels = np.array([0] * 8 + [1] * 22)
    first, _ = name([labels], [*entity, *inference, *rest, *[document(i, "y") for i in range(30, 33)]][:30])[0]
    assert "NER" not in first.split()
    assert "Recognition" in first


def test_codes_and_pairs_of_languages_are_no_phrases() -> None:
    assert found("cs-en de-en en cs KDE4 7B-Instruct") == set()


def test_a_family_of_languages_is_part_of_a_name() -> None:
    def told(number: int, task: str, *languages: str) -> TopicDocument:
        return replace(document(number, "x", tasks=(task,)), languages=languages)

    african = [told(i, "named entity recognition", code) for i, code in enumerate(("zu", "xh", "st", "tn", "sw", "yo"))]
    mixed = [told(i, "named entity recognition", code) for i, code in enumerate(("fi", "hu", "et", "tr", "he", "th"))]
    english = [told(i, "named entity recognition", "en") for i in range(8)]
    rest = [told(i, "translation", "en") for i in range(30)]
    labels = np.array([0] * 6 + [1] * 6 + [2] * 8 + [3] * 30)
    assert name([labels], [*african, *mixed, *english, *rest]) == [
        [
            "Entity Recognition: African Languages",
            "Non-English Named Entity Recognition",
            "Named Entity Recognition",
            "Machine Translation",
        ]
    ]


def test_a_subject_is_a_name_only_where_nearly_all_have_it() -> None:
    def told(number: int, subject: str) -> TopicDocument:
        return replace(document(number, "Hate speech detection on tweets."), subject=subject)

    papers = [told(i, "safety alignment" if i < 4 else "") for i in range(6)]
    papers += [document(i, "x", tasks=("translation",)) for i in range(6, 20)]
    labels = np.array([0] * 6 + [1] * 14)
    assert name([labels], papers) == [["Hate Speech Detection", "Machine Translation"]]


def test_what_is_always_written_large_is_no_name_where_there_is_another() -> None:
    papers = [
        replace(document(i, "OwlBench asks about nests. Nest building.", title=f"OwlBench {i}"), subject="robotics")
        for i in range(6)
    ]
    papers += [document(i, "x", tasks=("translation",)) for i in range(6, 30)]
    labels = np.array([0] * 6 + [1] * 24)
    ((owls, _),) = name([labels], papers)
    assert "OwlBench" not in owls


def test_a_subject_is_not_hidden_by_a_phrase_that_shares_its_words() -> None:
    papers = [replace(document(i, "MATH and GSM8K. MATH again."), subject="math and reasoning") for i in range(6)]
    papers += [document(i, "x", tasks=("translation",)) for i in range(6, 30)]
    labels = np.array([0] * 6 + [1] * 24)
    assert name([labels], papers)[0][0] == "Math and Reasoning"


def test_a_part_that_is_nearly_all_of_the_whole_bears_its_name() -> None:
    papers = [document(i, "x", tasks=("question answering", "extractive qa")) for i in range(9)]
    papers += [document(9, "x", tasks=("question answering",))]
    papers += [document(i, "x", tasks=("translation",)) for i in range(10, 30)]
    coarse = np.array([0] * 10 + [1] * 20)
    fine = np.array([0] * 9 + [-1] + [1] * 20)
    above, below = name([coarse, fine], papers)
    assert below[0] == above[0]


def test_names_have_at_most_four_words() -> None:
    tasks = (
        "named entity recognition",
        "natural language inference",
        "automatic speech recognition",
        "visual question answering",
        "semantic similarity scoring",
        "multi label classification",
    )
    papers = [document(i, "x", tasks=(tasks[i % 6], tasks[i // 6 % 6])) for i in range(72)]
    for parts in (1, 3, 6, 12):
        labels = np.arange(72) * parts // 72
        for found in name([labels], papers)[0]:
            assert 1 <= len(found.split()) <= 4, found


def test_two_tasks_share_a_name_in_short() -> None:
    papers = [document(i, "x", tasks=("named entity recognition",)) for i in range(5)]
    papers += [document(i, "x", tasks=("natural language inference",)) for i in range(5, 10)]
    papers += [document(i, "x") for i in range(10, 14)]
    papers += [document(i, "x", tasks=("translation",)) for i in range(14, 60)]
    labels = np.array([0] * 14 + [1] * 46)
    assert name([labels], papers)[0][0] == "Entity Recognition & NLI"


def test_a_subject_and_a_task_make_a_name_where_both_are_taken() -> None:
    medical = [
        replace(document(i, "x", tasks=("question answering",)), subject="medical and biomedical") for i in range(6)
    ]
    images = [replace(document(i, "x"), subject="medical and biomedical") for i in range(6, 14)]
    rest = [document(i, "x", tasks=("translation",)) for i in range(14, 40)]
    answers = [document(i, "x", tasks=("question answering",)) for i in range(40, 52)]
    labels = np.array([0] * 6 + [1] * 8 + [2] * 26 + [3] * 12)
    assert name([labels], [*medical, *images, *rest, *answers]) == [
        ["Medical Question Answering", "Medicine and Biology", "Machine Translation", "Question Answering"]
    ]


@pytest.mark.parametrize(
    ("above", "names"),
    [
        ("Machine Translation: European Languages", ["Other Machine Translation", "More Machine Translation"]),
        ("Non-English Named Entity Recognition", ["Other Named Entity Recognition", "More Named Entity Recognition"]),
        ("Other NLI & Similarity", ["Other NLI", "More NLI"]),
    ],
)
def test_the_rest_of_a_topic_is_named_after_it(above: str, names: list[str]) -> None:
    assert [c.text for c in last_resort("owls-v2", above)][:2] == names


def test_without_a_topic_around_an_exemplar_in_words_lends_its_title() -> None:
    assert [c.text for c in last_resort("The calls of owls dataset", None)] == ["Calls of Owls"]
    assert [c.text for c in last_resort("owls_v2-1", None)] == ["Various"]
