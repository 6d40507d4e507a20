"""Stripping: the template goes, what somebody wrote stays, and every piece knows where it stood."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.cardtext import split_front_matter, strip, strip_mapped

CARDS = Path(__file__).parents[2] / "../shared/corpus/cards.jsonl.gz"

CARD = """\
# Dataset Card for OwlCalls

## Table of Contents
- [Dataset Description](#dataset-description)
  - [Languages](#languages)

## Dataset Description

- **Homepage:** https://owls.example
- **Paper:** [Owls at night](https://paper.example)
- **Size of downloaded dataset files:** 3 MB

[![badge](https://img.example/a.svg)](https://ci.example) ![owl](owl.png)

### Dataset Summary

OwlCalls holds **12,000** calls, see [the *site*](https://owls.example/a_(b)) &amp; more.<br>Recorded in <b>Norway</b>.

<!-- a comment
over two lines -->

### Supported Tasks and Leaderboards

[More Information Needed]

## Calls per county

| county | calls |
|--------|------:|
| Troms  | 512   |

```python
load_dataset("owls")
```

Licensing Information
---------------------
CC0, whatever that is.

## Recording
> Phones were used.
1. First, wait.

## Citation Information

@article{owls}

### Why cite

Because.

## Weather

Cold.

**License**

MIT.
"""

STRIPPED = """\
OwlCalls

OwlCalls holds 12,000 calls, see the site & more. Recorded in Norway.

Calls per county

 county   calls
 Troms    512

Recording

Phones were used.
First, wait.

Weather

Cold."""


def words(text: str) -> list[str]:
    return text.split()


def test_the_template_goes_and_the_writing_stays() -> None:
    assert words(strip(CARD)) == words(STRIPPED)
    assert words(strip(CARD.replace("\n", "\r\n"))) == words(STRIPPED)


def test_paragraphs_stay_apart() -> None:
    assert "Norway.\n\nCalls per county" in strip(CARD)
    assert "used.\nFirst" in strip(CARD)


def test_an_unclosed_fence_or_comment_hides_only_itself() -> None:
    assert "owls" in strip("Some words.\n\n```\nowls\n\nmore")
    assert "owls" in strip("Some words.\n\n<!-- owls\n\nmore")
    assert strip("~~~\nhidden\n```\nhidden\n~~~\nseen") == "seen"


def test_bibtex_goes_wherever_it_stands() -> None:
    entry = "@misc{owls,\n  title={Owls},\n  year={2020}\n}"
    assert words(strip(f"Before.\n{entry}\nAfter.")) == ["Before.", "After."]
    assert words(strip(f"Before.\n\n{entry[:-2]}\n\nAfter.")) == ["Before.", "After."]


def test_a_span_leads_back_to_the_raw_card() -> None:
    stripped = strip_mapped(CARD)
    at = stripped.text.index("12,000 calls, see the site")
    start, end = stripped.raw_span(at, at + len("12,000 calls, see the site"))
    assert CARD[start:end] == "12,000** calls, see [the *site"
    with pytest.raises(ValueError, match="empty"):
        stripped.raw_span(3, 3)


@pytest.mark.parametrize(
    ("text", "front", "body"),
    [
        ("---\na: 1\n---\nBody", "a: 1\n", "Body"),
        ("\ufeff---\r\na: 1\r\n---\r\n\r\nBody\r\n", "a: 1\r\n", "Body\r\n"),
        ("\n\n---\na: 1\n---\nBody", "a: 1\n", "Body"),
        ("---\n---\nBody", "", "Body"),
        ("---\na: 1\n...\nBody", "a: 1\n", "Body"),
        ("---\na: 1\n", None, "---\na: 1\n"),
        ("# Title\n---\nx\n---\n", None, "# Title\n---\nx\n---\n"),
        ("\ufeffBody", None, "Body"),
        ("--- a\nb\n---\n", None, "--- a\nb\n---\n"),
        ("---\na: '---'\nb: |\n  ---\n---\nBody", "a: '---'\nb: |\n  ---\n", "Body"),
        ("", None, ""),
        ("---", None, "---"),
    ],
)
def test_front_matter(text: str, front: str | None, body: str) -> None:
    assert split_front_matter(text) == (front, body)


markdown = st.lists(
    st.sampled_from(
        ["# ", "## Citation", "## Data", "\n", "\n\n", "\r\n", "```", "<!--", "-->", "**", "[a](#b)", "[a](b)", "|",
         "- ", "&amp;", "&nbsp;", "<b>",
         "words here", "---", "===", "> ", "![i](u)", "https://x.y/z", "\\*", "é", " ", "__B__"]
    )
    | st.text(max_size=6),
    max_size=30,
).map("".join)  # fmt: skip


@given(markdown)
def test_every_piece_is_verbatim_and_in_order(body: str) -> None:
    stripped = strip_mapped(body)
    assert stripped.raw == body
    last = 0
    for out, raw, length in stripped.pieces:
        assert stripped.text[out : out + length] == body[raw : raw + length]
        assert raw >= last
        last = raw + length
        start, end = stripped.raw_span(out, out + length)
        assert (start, end) == (raw, raw + length)
    assert stripped.text == strip(body)


@given(markdown, st.integers(0, 80), st.integers(1, 40))
def test_any_span_leads_into_the_raw_card(body: str, at: int, length: int) -> None:
    stripped = strip_mapped(body)
    span = stripped.text[at : at + length]
    if span.strip() == span and span.isalnum() and span.isascii():
        start, end = stripped.raw_span(at, at + len(span))
        assert [c for c in body[start:end] if c.isalnum()][: len(span)] or "&" in body


@pytest.mark.parametrize(
    "unit",
    ["<a", "](", "<!--", "```\n", "[", "![a]((",
     "![", "# a\n", "#", " ", "# ", "*", "**a", "&a", "http://", "- ", "|-",
     "[more information ", "a\n===\n", ">", "\n", "\r", "`a", "# cite ", "- **homepage", "---\n", "\\",
     "<a " + " " * 900, "(", "[a][", "\ufeff", "&#", "1. ", "[optional ", "example ", "\u00a0"],
)  # fmt: skip
def test_two_megabytes_of_hostile_text_take_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text, started = unit * (size // len(unit)), time.process_time()
        strip(split_front_matter(text)[1])
        return time.process_time() - started

    small, large = seconds(125_000), seconds(2_000_000)
    # Sixteen times the text; a quadratic pass would take 256 times as long.
    assert large < 64 * max(small, 0.01)


@pytest.mark.skipif(not CARDS.exists(), reason="../shared/corpus is not on this machine")
def test_real_cards_are_stripped_to_their_substance() -> None:
    with gzip.open(CARDS, "rt", encoding="utf-8") as lines:
        cards = [json.loads(line)["card"] for line in lines]
    kept = total = 0
    for card in cards:
        front, body = split_front_matter(card)
        assert (front is not None) == card.lstrip("\ufeff\r\n ").startswith("---")
        stripped = strip_mapped(body)
        total += len(body)
        kept += len(stripped.text)
        for word in ("More Information Needed", "```", "Table of Contents", "@inproceedings"):
            assert word not in stripped.text
        assert "](" not in stripped.text
    assert 0.15 < kept / total < 0.5


@given(
    st.lists(
        st.sampled_from(["# Owls", "Calls of owls.", "", "```", "[a](b)", "## License", "MIT", "| a |"]), max_size=30
    )
)
def test_enough_text_is_the_beginning_of_all_of_it(lines: list[str]) -> None:
    body = "\n".join(lines)
    whole = strip(body)
    for enough in (0, 1, 20, 10_000):
        part = strip(body, enough)
        assert whole.startswith(part)
        assert len(part) >= min(enough, len(whole))
