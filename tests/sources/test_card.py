"""Cards of every quality: never an exception, always a status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.hub.entries import Entry
from taxonomy.card import MAX_CARD_BYTES, Metadata, input_hash_of, metadata, parse_card, pretty_name


def merged(entry: Entry, front_matter: Mapping[str, Any]) -> Metadata:
    """What card and listing say together, as the pipeline asks for it."""
    return metadata(front_matter, entry.card_data, entry.tags)


BODY = "# Title\n\n" + "Sentences about birds and their songs. " * 10


def test_plain_card() -> None:
    card = parse_card(f"---\npretty_name: Birds\nlanguage:\n- en\nlicense: mit\n---\n{BODY}".encode())
    assert card.status == "ok"
    assert card.body == BODY.strip()
    assert card.text[card.body_offset :].startswith("# Title")
    assert card.title == "Birds"
    assert card.tags == ("license:mit", "language:en")
    assert card.long_enough
    assert card.problems == ()


@pytest.mark.parametrize(
    ("front", "status"),
    [
        ("language: [en", "invalid"),
        ("a: b: c", "invalid"),
        ("- just\n- a list", "invalid"),
        ("\tlanguage: en", "invalid"),
        ("!!python/object/apply:os.system ['true']", "invalid"),
        ("x: &a [*a]", "invalid"),
        ("", "ok"),
        ("language: no", "ok"),
        ("size_categories: 12", "ok"),
        ("license: [mit, {a: b}, null, 3]", "ok"),
        ("tags: {a: [b, c]}", "ok"),
        ("? [complex, key]\n: value", "invalid"),
    ],
)
def test_front_matter_of_every_kind(front: str, status: str) -> None:
    card = parse_card(f"---\n{front}\n---\n{BODY}".encode())
    assert card.status == status
    assert card.body == BODY.strip()
    assert bool(card.problems) == (status == "invalid")
    merged(Entry("a/b"), card.front_matter)


@pytest.mark.parametrize("opening", ["[", "{", "{a: ", "[a, ", "\n- - - - - ", "? "])
def test_front_matter_without_a_bottom(opening: str) -> None:
    # The YAML readers follow nesting down the C stack, and the process ends where that does.
    card = parse_card(f"---\nlanguage:\n {opening * 100_000}en\n---\n{BODY}".encode())
    assert card.status == "invalid"
    assert card.body == BODY.strip()


def test_front_matter_that_grows() -> None:
    # "Billion laughs": each name stands for ten of the one before.
    laughs = "a0: &a0 [ha]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40))
    card = parse_card(f"---\n{laughs}language: *a39\ntags: {{x: *a38}}\n---\n{BODY}".encode())
    assert card.status == "ok"
    assert card.declared == {}
    assert len(card.tags) == 0


def test_yaml_words_stay_words() -> None:
    card = parse_card(f"---\nlanguage: no\nsize_categories: 12\npretty_name: 2024-01-01\n---\n{BODY}".encode())
    found = merged(Entry("a/b"), card.front_matter)
    assert found["languages"] == ("no",)
    assert found["size_categories"] == ("12",)
    assert pretty_name(card.front_matter, {}) == "2024-01-01"


def test_listing_that_typed_the_language_no() -> None:
    assert merged(Entry("a/b", card_data={"language": False}), {})["languages"] == ("no",)
    assert merged(Entry("a/b", card_data={"language": ["en", False]}), {})["languages"] == ("en",)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_line_ends(bom: bytes, newline: str) -> None:
    card = parse_card(bom + f"---\nlicense: mit\n---\n{BODY}".replace("\n", newline).encode())
    assert card.status == "ok"
    assert card.tags == ("license:mit",)
    assert card.body.startswith("# Title")
    assert not card.text.startswith("\ufeff")


def test_bytes_that_are_not_utf8() -> None:
    card = parse_card(b"---\nlicense: mit\n---\nCaf\xe9 " + BODY.encode())
    assert card.status == "ok"
    assert "Caf\ufffd" in card.body
    assert "not UTF-8" in card.problems[0]


def test_nul_characters() -> None:
    card = parse_card(b"a\x00b" + BODY.encode())
    assert "\x00" not in card.text
    assert card.problems


def test_white_space_is_not_text() -> None:
    card = parse_card("---\nlicense: mit\n---\n" + " \n\t" * 500)
    assert card.body == ""
    assert not card.long_enough
    assert card.body_offset == 0


def test_a_card_over_the_limit_is_cut() -> None:
    card = parse_card(("é" * MAX_CARD_BYTES).encode())
    assert len(card.text.encode()) <= MAX_CARD_BYTES + 3
    assert card.problems == (f"cut at {MAX_CARD_BYTES:,} bytes",)


def test_merging_what_card_listing_and_tags_say() -> None:
    entry = Entry(
        "a/b",
        tags=("license:apache-2.0", "modality:text", "arxiv:2101.00001", "task_categories:translation", "region:us"),
        card_data={"task_categories": ["summarization"], "pretty_name": "From the listing"},
    )
    card = parse_card(f"---\nlicense: mit\ntags: [biology, 'modality:image']\n---\n{BODY}")
    assert merged(entry, card.front_matter) == {
        "license": ("mit", "apache-2.0"),
        "task_categories": ("summarization", "translation"),
        "modalities": ("image", "text"),
        "arxiv_ids": ("2101.00001",),
    }
    assert pretty_name(card.front_matter, entry.card_data) == "From the listing"
    # What is kept of the front matter says the same again.
    assert merged(entry, card.declared) == merged(entry, card.front_matter)


@given(st.binary(max_size=400))
def test_any_bytes(raw: bytes) -> None:
    card = parse_card(b"---\n" + raw)
    entry = Entry("a/b")
    assert merged(entry, card.declared) == merged(entry, card.front_matter)
    assert card.text[card.body_offset : card.body_offset + len(card.body)] == card.body
    assert input_hash_of(b"---\n" + raw) == card.input_hash
    assert len(card.input_hash) == 64


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_card_data(value: object) -> None:
    keys = ("license", "task_categories", "language", "size_categories", "pretty_name", "tags", "arxiv")
    entry = Entry("a/b", card_data=dict.fromkeys(keys, value))
    for values in merged(entry, {}).values():
        assert all(isinstance(v, str) and v for v in values)
    assert isinstance(pretty_name({}, entry.card_data), str | None)
