"""Strip boilerplate from card text: template headings, contents lists, citation, licence, code, markup.

Most of a card is template: headings, contents lists, citation, licence, code. What is left after `strip` is what
somebody wrote about the data. Everything runs in one pass over the lines and in linear time, since cards are untrusted.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_FRONT = re.compile(r"\ufeff?[ \t\r\n]*---[ \t]*\r?\n")
_FRONT_END = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)
_LINE = re.compile(r"[^\r\n]+")
_FENCE = re.compile(r" {0,12}(?:> ?)?(`{3,}+|~{3,}+)")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]++(.*?)[ \t#]*$")
_HTML_HEADING = re.compile(r"[ \t]*<h([1-6])[^<>]{0,300}>([^<>]{1,200})</h[1-6]>")
_BOLD_HEADING = re.compile(r"[ \t]*(?:\*\*|__)([^*_]{2,60})(?:\*\*|__)[ \t]*:?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{3,}+)[ \t]*$")
_NOT_WORD = re.compile(r"[\W_]+")

#: Sections that say nothing about the content, whatever stands in them.
_DROPPED_SECTION = re.compile(
    r"(?:table of )?contents|toc|.*\bcit(?:ation|e|ing)\b.*|bibtex|references?|licen[sc](?:e|es|ing).*"
    r"|.*\blicen[sc]ing information"
    r"|(?:dataset )?curators?|contributions?|contributors?|contribut(?:e|ing)|authors?|acknowledge?ments?"
    r"|contact(?: us)?|funding|team"
    r"|considerations for using the data|social impact.*|discussion of biases|bias(?:es)?"
    r"|bias risks and limitations|risks?"
    r"|personal and sensitive information|.*\bethic(?:s|al)\b.*|(?:other )?(?:known )?limitations?|recommendations"
    r"|(?:dataset )?(?:usage|installation|install|quick ?start|getting started|setup|requirements|downloads?)"
    r"|how to (?:use|load|cite|download).*"
    r"|(?:direct|out of scope) use|usage examples?|loading(?: the)? (?:data|dataset).*|load(?:ing)? .*"
    r"|disclaimer.*|changelog|release notes|updates?"
    r"|news|todo|more information|dataset card (?:authors?|contact)|glossary|star history|links"
    r"|dataset sources|annotation process"
    r"|who are the annotators|additional information|environment|terms of use|privacy.*|copyright.*"
    r"|models? trained.*"
)
#: Headings of the card template: the words go, the section stays.
_TEMPLATE_HEADING = re.compile(
    r"dataset (?:description|summary|structure|creation|details|instances|info(?:rmation)?|overview|fields"
    r"|splits|sources)|supported tasks.*|languages?"
    r"|(?:data )?(?:instances|fields|splits)|curation rationale|source data|initial data collection.*"
    r"|who are the source.*|annotations?"
    r"|data collection and (?:normalization|processing)|uses|introduction|overview|summary|description|data"
    r"|about|abstract|details|readme|default"
)
_TITLE_PREFIX = re.compile(r"^\s*(?:dataset card (?:for|of)|data ?card (?:for|of))\s+(?:the\s+)?\[?", re.IGNORECASE)
#: Lines of the template that carry only an address, a size or nothing.
_DROPPED_LINE = re.compile(
    r"[ \t>]*(?:[-*+] |\d{1,3}\. )?[ \t]*(?:"
    r"(?:\*\*|__)?(?:homepage|repository|paper|leaderboard|point of contact|size of |total amount of disk|demo"
    r"|website|project page|github|arxiv"
    r"|license|contact|download|code|blog|model|doi|curated by|funded by|shared by)\b[^:|\n]{0,60}:"
    r"|\[[^\]\n]{0,200}\]\(#[^)\n]{0,200}\)\s*$"
    r"|\[?(?:more information|needs more|information|more info)\b[^\n]{0,20}"
    r"(?:needed|information|required)\b[^\n]{0,200}$"
    r"|\[?(?:n/?a|todo|tbd|tba|none|not applicable|coming soon|to be (?:added|announced|filled)|unknown)\]?\.?\s*$"
    r"|\[?(?:optional|if applicable|provide |describe |add |state whether|list |introduce )[^\n]{0,30}"
    r"\b(?:dataset|here|data|curators|information)\b[^\n]{0,400}\]\s*$"
    r"|this (?:data ?set|model) ?card aims to be a base template\b[^\n]*$"
    r"|[|:\-+=_*\s\u2014]+$"
    r"|\[[^\]\n]{0,40}\]: ?#"  # comments written as link definitions
    r"|(?:an? )?(?:example|sample|instance)s?\b[^\n.]{0,100}:\s*$"
    r"|(?:the )?(?:data )?(?:fields?|data instances|features)\b[^\n.]{0,60}(?:following|are|below)[^\n.]{0,40}:\s*$"
    r")",
    re.IGNORECASE,
)
_BIBTEX = re.compile(r"[ \t>]*@[A-Za-z]{2,20}[ \t]*\{")
_INLINE = re.compile(
    r"!\[[^\]\n]{0,300}+\]\([^()\n]{0,1000}+(?:\([^()\n]{0,200}+\)[^()\n]{0,300}+)?\)"  # images and badges
    r"|\]\([^()\n]{0,1000}+(?:\([^()\n]{0,200}+\)[^()\n]{0,300}+)?\)"  # link targets
    r"|\]\[[^\[\]\n]{0,100}+\]"
    r"|\(?\[?[Mm]ore [Ii]nformation [Nn]eeded(?:\](?!\())?\)?"
    r"|<(?:https?://|mailto:)[^<>\s]{1,1000}+>|</?[A-Za-z][^<>]{0,1000}+>"  # autolinks, HTML
    r"|https?://[^\s<>)\]]++|www\.[^\s<>)\]]++"
    r"|&(?:#\d{1,6}|#x[0-9a-fA-F]{1,5}|[A-Za-z]{2,10});"
    r"|\\(?=[\\`*_{}\[\]()#+.!<>|~-])|[*`]++|__|~~|[\[\]]|\|"
)
_LINE_START = re.compile(r"[ \t]*(?:>[ \t]*)*(?:(?:[-*+\u2022]|\d{1,3}[.)])[ \t]+)?(?:\[[ xX]\][ \t])?")


def split_front_matter(text: str) -> tuple[str | None, str]:
    """Split a card into the source of its front matter, between `---` lines, and the rest; None where there is none.

    A byte-order mark, blank lines before it and CRLF line ends are tolerated. A block that is opened and never closed
    is no front matter.
    """
    opening = _FRONT.match(text)
    if opening:
        closing = _FRONT_END.search(text, opening.end())
        if closing:
            return text[opening.end() : closing.start()], text[closing.end() :].lstrip("\r\n")
    return None, text.removeprefix("\ufeff")


@dataclass(frozen=True)
class StrippedText:
    """Stripped text with the offsets where its parts stood. `pieces`: (offset in text, offset in raw, length)."""

    text: str
    raw: str
    pieces: tuple[tuple[int, int, int], ...]

    @cached_property
    def _starts(self) -> list[int]:
        return [piece[0] for piece in self.pieces]

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Map `text[start:end]` to the raw body, as (start, end); what was stripped inside is spanned.

        Raises:
            ValueError: the span is empty or holds nothing but added white space.
        """
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, max(start, end - 1)) - 1
        if first >= 0 and start >= self.pieces[first][0] + self.pieces[first][2]:
            first += 1  # the span begins in added white space
        first = max(first, 0)
        if start >= end or first > last or last < 0:
            raise ValueError("an empty span has no place in the raw text")
        out, raw, _ = self.pieces[first]
        raw_start = raw + max(0, start - out)
        out, raw, length = self.pieces[last]
        return raw_start, raw + min(length, end - out)


def strip(body: str, enough: int | None = None) -> str:
    """Strip boilerplate from the body of a card (without front matter); see `strip_mapped`."""
    return strip_mapped(body, enough).text


def strip_mapped(body: str, enough: int | None = None) -> StrippedText:
    """Strip as `strip` does, and map the text back to the raw body. A blank line parts paragraphs, a newline lines.

    Ends with the line in which `enough` characters are reached, if so many are asked for.
    """
    out: list[str] = []
    pieces: list[tuple[int, int, int]] = []
    at = 0
    for start, end, new_paragraph in _kept_lines(body):
        if enough is not None and at >= enough:
            break
        glue = ("\n\n" if new_paragraph else "\n") if at else ""
        begun = False
        for text, raw in _inline(body, start, end):
            if not begun:
                text, raw = text.lstrip(), raw + len(text) - len(text.lstrip()) if raw >= 0 else raw  # noqa: PLW2901
            if not text:
                continue
            if not begun and glue:
                out.append(glue)
                at += len(glue)
            begun = True
            out.append(text)
            if raw >= 0:
                pieces.append((at, raw, len(text)))
            at += len(text)
    return StrippedText("".join(out), body, tuple(pieces))


def _inline(body: str, start: int, end: int) -> Iterator[tuple[str, int]]:
    """The pieces of one line that stay: (text, raw offset), the offset -1 where the text is not verbatim."""
    prefix = _LINE_START.match(body, start, end)
    at = prefix.end() if prefix else start
    for match in _INLINE.finditer(body, at, end):
        if match.start() > at:
            yield body[at : match.start()], at
        found = match.group()
        if found[0] == "&":
            plain = html.unescape(found)
            yield (" " if plain.isspace() or not plain.isprintable() else plain), -1
        elif found == "|" or (
            found[0] == "<" and found[1:3].lower() in {"br", "p>", "li", "td", "tr", "/t", "/p", "/l"}
        ):
            yield " ", -1
        at = match.end()
    if end > at:
        yield body[at:end].rstrip(), at


def _kept_lines(body: str) -> Iterator[tuple[int, int, bool]]:
    """The lines that stay: (start, end, whether a paragraph begins here)."""
    lines = [(m.start(), m.end()) for m in _LINE.finditer(body)]
    hidden = _hidden(body, lines)
    skip_above = 0  # inside a dropped section opened by a heading of this level; 0: in none
    paragraph = True
    in_entry = False
    last_end = 0
    for index, (start, end) in enumerate(lines):
        gap = body[last_end:start]
        gap_here = gap.count("\n") > 1 or (gap.count("\r") > 1 and "\n" not in gap)
        paragraph = paragraph or gap_here
        last_end = end
        if hidden[index]:
            paragraph = True
            continue
        line = body[start:end]
        level, title = _heading(line, body, lines, index)
        if level:
            folded = " ".join(_NOT_WORD.sub(" ", title).lower().split())
            if skip_above and level > skip_above:
                continue
            skip_above = level if _DROPPED_SECTION.fullmatch(folded) else 0
            paragraph = True
            if skip_above or not folded or _TEMPLATE_HEADING.fullmatch(folded):
                continue
            offset = line.find(title)
            prefix = _TITLE_PREFIX.match(title)
            yield start + offset + (prefix.end() if prefix else 0), start + offset + len(title), True
            continue
        # A BibTeX entry ends at its brace or, where that is missing, at a blank line.
        in_entry = (in_entry and not gap_here) or _BIBTEX.match(line) is not None
        if in_entry:
            in_entry = line.strip() != "}"
            continue
        if skip_above or _DROPPED_LINE.match(line):
            continue
        yield start, end, paragraph
        paragraph = False


def _heading(line: str, body: str, lines: list[tuple[int, int]], index: int) -> tuple[int, str]:
    """The level of a heading and its words; (0, "") for other lines. Bold lines are headings of level 7."""
    first = line.lstrip()[:1]
    if first == "#":
        match = _HEADING.match(line)
        return (len(match.group(1)), match.group(2)) if match else (0, "")
    if first == "<":
        match = _HTML_HEADING.match(line)
        return (int(match.group(1)), match.group(2)) if match else (0, "")
    if first in {"*", "_"}:
        match = _BOLD_HEADING.match(line)
        return (7, match.group(1)) if match else (0, "")
    if index + 1 < len(lines) and len(line) < 100 and first.isalnum():
        start, end = lines[index + 1]
        if start - lines[index][1] <= 2 and body[start] in " =-" and (match := _UNDERLINE.match(body, start, end)):
            return (1 if match.group(1)[0] == "=" else 2), line.strip()
    return 0, ""


def _hidden(body: str, lines: list[tuple[int, int]]) -> list[bool]:
    """Which lines lie in a code fence or a comment. What is opened and never closed hides nothing but its marker."""
    hidden = [False] * len(lines)
    fence: tuple[int, str] | None = None
    spans = _comments(body)
    span = 0
    for index, (start, end) in enumerate(lines):
        while span < len(spans) and spans[span][1] <= start:
            span += 1
        inside = span < len(spans) and spans[span][0] <= start
        if inside or (span < len(spans) and spans[span][0] < end and not body[start : spans[span][0]].strip()):
            hidden[index] = spans[span][1] >= end or not body[spans[span][1] : end].strip()
            if hidden[index]:
                continue
        match = _FENCE.match(body, start, end)
        if not match:
            continue
        mark = match.group(1)
        if fence is None:
            fence = (index, mark)
            hidden[index] = True
        elif mark[0] == fence[1][0] and len(mark) >= len(fence[1]) and not body[match.end() : end].strip():
            hidden[fence[0] : index + 1] = [True] * (index + 1 - fence[0])
            fence = None
    return hidden


def _comments(body: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = body.find("<!--")
    while start >= 0:
        end = body.find("-->", start + 4)
        if end < 0:
            break
        spans.append((start, end + 3))
        start = body.find("<!--", end + 3)
    return spans
