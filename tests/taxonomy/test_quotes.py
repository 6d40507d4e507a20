"""A quote is in the card or it is not."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taxonomy.answers.quotes import clip, locate

CARD = (
    "# Birds\n\n"
    "The **BirdCall** set has “12,000” calls —\nrecorded in _Norway_ by the field's team. Use `load_me` now.\n"
    "A ﬁne cafe\u0301 with 1\u00a0000 ~~old~~ rows, snake_case_name, 2*3 and ½.\n한국어 데이터"
)


@pytest.mark.parametrize(
    ("quote", "span"),
    [
        ("The BirdCall set has", "The **BirdCall** set has"),
        ('has "12,000" calls - recorded in Norway', "has “12,000” calls —\nrecorded in _Norway"),
        ("field’s  team", "field's team"),
        ("Use load_me now", "Use `load_me` now"),
        ("fine café with 1 000 old rows", "ﬁne cafe\u0301 with 1\u00a0000 ~~old~~ rows"),
        ("snake_case_name", "snake_case_name"),
        ('"the field\'s team."', "the field's team."),
        ("...recorded in Norway...", "recorded in _Norway"),
        ("한국어 데이터", "한국어 데이터"),
        (unicodedata.normalize("NFD", "한국어"), "한국어"),
    ],
)
def test_a_tidied_quote_is_found_as_the_card_has_it(quote: str, span: str) -> None:
    found = locate(quote, CARD)
    assert found is not None
    assert CARD[slice(*found)] == span


@pytest.mark.parametrize(
    "quote",
    [
        "the birdcall set",
        "12,001",
        "snakecasename",
        "calls recorded",
        "",
        "  ",
        "**",
        "...",
        "The BirdCall … team",
        "“”",
    ],
)
def test_what_is_not_in_the_card_is_not_found(quote: str) -> None:
    assert locate(quote, CARD) is None


text = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)


@given(text, text, text)
@example("a", "\u0301b", "")
@example("e", "x", "\u0301")
@example("~", "~a~", "~")
@example("", "1⁄2 ½ ﷺ", "")
def test_a_slice_cut_at_spaces_is_found_where_it_says_the_same(before: str, middle: str, after: str) -> None:
    card = f"{before} {middle} {after}"
    found = locate(middle, card)
    inner = middle.strip(" \t\r\n'\"‘’“”„«»").removeprefix("...").removesuffix("...")
    if any(c.isalnum() for c in unicodedata.normalize("NFKC", inner)) and not re.search(r"[…~_]", card):
        assert found is not None
    if found is not None:
        start, end = found
        assert 0 <= start < end <= len(card)
        # Looking up what was found finds it again.
        assert locate(card[start:end], card) is not None


@given(st.text(max_size=200), st.text(max_size=200))
def test_locate_never_raises_and_folds_to_the_quote(quote: str, card: str) -> None:
    found = locate(quote, card)
    if found is not None:
        kept = "".join(c for c in unicodedata.normalize("NFKC", card[slice(*found)]) if c.isalnum())
        wanted = "".join(c for c in unicodedata.normalize("NFKC", quote) if c.isalnum())
        assert wanted == "" or wanted in kept


@given(st.text(max_size=400), st.integers(1, 30))
def test_clip_keeps_a_verbatim_beginning(quote: str, words: int) -> None:
    cut = clip(quote, words)
    assert cut in quote
    assert len(cut.split()) <= words
    assert len(cut) <= 400
    if len(quote) < 400 and len(quote.split()) <= words:
        assert cut == quote.strip()


def test_clip_takes_the_first_25_words() -> None:
    words = [f"w{n}" for n in range(40)]
    assert clip("  " + "\n".join(words)) == "\n".join(words[:25])
    assert clip("字" * 1000) == "字" * 400


@pytest.mark.parametrize("unit", ["a\u0301", "\u0301", "* ", "a", " ", "_", "~", "\u00a0 ", "é", "ﷺ"])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        card, started = unit * (size // len(unit)), time.process_time()
        locate("a" * 2000 + "b", card + str(size))
        return time.process_time() - started

    seconds(1000)
    small, large = seconds(50_000), seconds(400_000)
    # Eight times the text; a quadratic scan would take 64 times as long.
    assert large < 30 * max(small, 0.005)
