from __future__ import annotations

import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render import escape


@given(st.text())
def test_html_holds_no_markup_and_reads_back_as_written(text: str) -> None:
    escaped = str(escape.html(text))
    assert not set(escaped) & set("<>\"'`{}$")
    assert html.unescape(escaped) == html.unescape(html.escape(text))


@given(
    st.recursive(st.text() | st.integers() | st.none(), lambda leaf: st.lists(leaf) | st.dictionaries(st.text(), leaf))
)
def test_script_json_is_inert_in_a_script_and_is_still_json(value: object) -> None:
    written = escape.script_json(value)
    assert written.isascii()
    assert not set(written) & set("<>&")
    assert json.loads(written) == value


def test_script_json_refuses_what_json_has_no_word_for() -> None:
    with pytest.raises(ValueError, match="JSON"):
        escape.script_json(float("nan"))


@given(st.text(), st.integers(1, 200))
def test_plain_is_one_bounded_visible_line(text: str, limit: int) -> None:
    line = escape.plain(text, limit)
    assert len(line) <= limit
    assert line == line.strip()
    assert not any(ord(c) < 32 or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff" for c in line)


def test_plain_keeps_markup_and_cuts_what_is_long() -> None:
    assert escape.plain("  <b>a</b>\n\tc ") == "<b>a</b> c"
    assert escape.plain(None) == ""
    assert escape.plain("x" * 10_000) == "x" * (escape.LIMIT - 1) + "…"
    assert escape.plain("safe\u202etxt.exe") == "safetxt.exe"


def test_lines_keeps_paragraphs() -> None:
    assert escape.lines("a\r\nb\n\n\n\nc\u202e", 50) == "a\nb\n\nc"
    assert escape.lines(None, 5) == ""
    assert escape.lines("abcdefgh", 5) == "abcd…"
