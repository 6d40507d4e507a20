"""One-line summaries: parse them from an answer, check them against the house rules, trim them.

The rules: one sentence, at most 25 words, opening with what the records are, no marketing words.
"""

from __future__ import annotations

import re
from typing import Any

from taxonomy.answers import json_repair
from taxonomy.answers.values import squash

MAX_WORDS = 25
#: Scripts without spaces make "words" of any length; this bounds them.
MAX_CHARS = 300

_KEYS = ("summary", "tldr", "tl;dr", "description", "sentence", "text")
_FENCE = re.compile(r"^\s*```[a-z]*\s*|\s*```\s*$", re.IGNORECASE)
_PREAMBLE = re.compile(
    r"^(?:sure|certainly|of course|here(?:'s| is)[^:\n]{0,80}|summary|tl;?dr)\s*[:!.]\s*", re.IGNORECASE
)
_REFUSAL = re.compile(r"^(?:i(?:'m| am) (?:sorry|unable)|i (?:can(?:not|'t)|won't)|as an ai\b|sorry\b)", re.IGNORECASE)
_NOUN = r"(?:data\s?sets?|corpus|corpora|benchmark|collection|card|repository|repo)"
_BAD_OPENING = re.compile(
    rf"(?:this is\b|this (?:\S+ ){{0,3}}{_NOUN}\b|(?:the|our) {_NOUN}\b|an? (?:new |novel |large "
    rf"|small )?{_NOUN} (?:of|that|for|with|which|containing)\b"
    rf"|(?:an? (?:\S+ ){{1,2}})?(?:data\s?sets?|collection) (?:of|that|for|with|which|containing)\b|in (?:this|our) {_NOUN}\b"
    rf"|the (?:\S+ ){{1,3}}{_NOUN} (?:is|are|was|contains?|consists?|comprises?|includes?|provides?|offers?|features?|has)\b"
    r"|it (?:is|contains|consists)\b|here (?:is|are)\b|there (?:is|are)\b|we (?:present|introduce|release"
    r"|provide|propose)\b"
    r"|welcome\b)",
    re.IGNORECASE,
)
_MARKETING = re.compile(
    r"\b(?:high[- ]quality|(?:highly )?comprehensive(?:ly)?|state[- ]of[- ]the[- ]art|cutting[- ]edge"
    r"|groundbreaking|revolutionary"
    r"|world[- ]class|best[- ]in[- ]class|game[- ]chang(?:ing|er)|meticulously|carefully curated|(?:very "
    r"|extremely )?powerful"
    r"|unparalleled|unprecedented|innovative|premium|seamless(?:ly)?|rich(?:ly)?|robust|unique(?:ly)?|exciting"
    r"|amazing|invaluable"
    r"|large[- ]scale)\b",
    re.IGNORECASE,
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|al|approx|ca|no|fig|dr|mr|mrs|prof|st|inc|jr|sr|u\.s|u\.k)"
    r"|\b[A-Z])\.$",
    re.IGNORECASE,
)
_STOP = re.compile(r"[.!?]+[\"')\]]*(?=\s+\S)|[\u3002\uff01\uff1f](?=\s*\S)")
_CLAUSE = re.compile(r"[,;:](?=\s)|\s[\u2013\u2014-](?=\s)|\s\(")
_END = re.compile(r"[.!?\u3002\uff01\uff1f][\"')\]\u201d\u2019\u300d]*$")
_MARKDOWN = re.compile(r"^(?:(?:[-*+>\u2022]|#{1,6}|\d{1,2}[.)])\s+)+|\*\*|`")
_LINK = re.compile(r"\[([^\[\]]{1,200})\]\([^()\s]{1,500}\)")
_SAYS_NOTHING = {"notstated", "notapplicable", "notavailable", "none", "null", "na", "nil", "unknown", "tbd"}
_ENOUGH_WORDS = 5
"""A sentence that breaks off after so many words still says what the records are."""
_JOINT = re.compile(
    r"\s(?:which|that|who|where|while|whereas|because|as well as|and|or|with|for|by|to|in|from|on|of)(?=\s)"
)
_NOTHING_LEFT = "Data without a description."
DANGLING = re.compile(
    r"[\s,;:(\u2013\u2014-]+(?:(?:and|or|but|with|of|for|in|on|at|by|to|from|the|a|an|as|that|which|including"
    r"|such|using|where"
    r"|while|than|into|across|per|via|is|are|was|were|has|have|its|their|about|over"
    r"|between)[\s,;:(\u2013\u2014-]*)*$",
    re.IGNORECASE,
)
_OPENERS = (
    # "This dataset contains 12 …" → "12 …"; the noun that follows is the better opening.
    re.compile(
        rf"^(?:(?:this|the|our)\s(?:\S+\s){{0,3}}?{_NOUN}|it|this)\s+(?:\([^)]{{0,40}}\)\s+)?"
        r"(?:is\s+(?:made up|composed|comprised)\s+of|is\s+comprised\s+of|consists?\s+of|contains?|comprises?"
        r"|includes?|provides?|offers?"
        r"|holds?|features?|presents?|covers?|is\s+about|describes?|has)\s+",
        re.IGNORECASE,
    ),
    re.compile(
        rf"^(?:(?:this|the|our)\s(?:\S+\s){{0,3}}?{_NOUN}|it|this)\s+(?:is|was|are)\s+(?:(?:an?|the)\s+)?"
        rf"(?:(?:new|novel|large|small)\s+)?(?:{_NOUN}\s+(?:of|with|containing|for)\s+)?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"^(?:an?\s+)?(?:(?:new|novel|large|small)\s+)?{_NOUN}\s+(?:of|with|containing|for|that\s+contains)\s+",
        re.IGNORECASE,
    ),
    re.compile(rf"^in\s+(?:this|our)\s+{_NOUN}\s*,?\s+", re.IGNORECASE),
    re.compile(r"^(?:here|there)\s+(?:is|are)\s+", re.IGNORECASE),
    re.compile(r"^we\s+(?:present|introduce|release|provide|propose)\s+", re.IGNORECASE),
    re.compile(r"^welcome\s+to\s+", re.IGNORECASE),
    re.compile(rf"^(?:this|the|our)\s+(?:\S+\s+){{0,3}}?{_NOUN}\s+", re.IGNORECASE),
    re.compile(r"^this\s+(?:is\s+)?", re.IGNORECASE),
)


def parse_summary(answer: str) -> tuple[str | None, str | None]:
    """Parse the summary in an answer: (text, None), (text, problem) or (None, problem).

    Never raises. Reads {"summary": ...} in any wrapping, or plain text. A missing full stop is added; a sentence that
    breaks off loses its last words where enough stays to stand alone.
    """
    text = _text_of(answer)
    if text is None or squash(text) in _SAYS_NOTHING:
        return None, "the answer held no sentence"
    if _REFUSAL.match(text):
        return None, "the model declined"
    if isinstance(text, json_repair.CutText):
        text = DANGLING.sub("", text.rpartition(" ")[0])
        if len(text.split()) < _ENOUGH_WORDS:
            return text or None, "it breaks off"
    if " " not in text and text.isascii():
        return None, "it is a single word"
    problem = summary_problem(text)
    return (_ended(text), None) if problem is None else (text, problem)


def _ended(line: str) -> str:
    """With a full stop, where the line ends without one."""
    if _END.search(line):
        return line
    return line.rstrip(" ,;:-\u2013\u2014\u2026") + "."


def summary_problem(text: str) -> str | None:
    """Check a summary against the rules: what is wrong with it, as a clause, or None."""
    words = len(text.split())
    opening = _BAD_OPENING.match(text)
    marketing = _MARKETING.search(text)
    if not any(character.isalnum() for character in text):
        return "it is empty"
    if words > MAX_WORDS:
        return f"it has {words} words, at most {MAX_WORDS} are allowed"
    if len(text) > MAX_CHARS:
        return f"it has {len(text)} characters, at most {MAX_CHARS} are allowed"
    if len(sentences(text)) > 1:
        return "it is more than one sentence"
    if opening:
        return f'it opens with "{opening.group()}", not with what the records are'
    if marketing:
        return f'"{marketing.group()}" is marketing'
    return None


def trim_summary(text: str) -> str:
    """Trim a summary to the rules without a model: the same input always gives the same line.

    One sentence of at most 25 words, cut at the end of a clause where there is one, with a bad opening or marketing
    words taken out. Never empty for a text that is not.
    """
    plain = " ".join(text.split()).strip(" \"'`*_")
    if not plain:
        return text.strip()
    line = next((s for s in sentences(plain) if any(c.isalnum() for c in s)), plain)
    line = _without(_without_opening(line))
    line = _shorten(line, MAX_WORDS)
    # Cutting can bring a bad opening to the front, or leave nothing but one.
    line = _without_opening(line)
    if not any(character.isalnum() for character in line):
        line = _NOTHING_LEFT
    line = line[0].upper() + line[1:]
    return _ended(line)


def sentences(text: str) -> list[str]:
    """Split text into sentences: at full stops, but not after abbreviations, initials and inside numbers or names."""
    found, start = [], 0
    for match in _STOP.finditer(text):
        head = text[max(start, match.start() - 12) : match.start() + 1]
        following = text[match.end() : match.end() + 40].lstrip()
        if text[match.start()] == "." and (_ABBREVIATION.search(head) or _goes_on(head, following)):
            continue
        if text[match.start()] in "!?" and following[:1].islower():
            continue  # 'Questions such as "Why?" with answers', "Yahoo! answers"
        found.append(text[start : match.end()].strip())
        start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def _goes_on(head: str, following: str) -> bool:
    """Whether a full stop before a small letter ends no sentence: it does after a whole word ("trees. it")."""
    return following[:1].islower() and not re.search(r"[a-z]{4}\.$", head)


def _text_of(answer: str) -> str | None:
    """The sentence of an answer; of several the last that keeps the rules, since a draft comes first."""
    found = [text for candidate in json_repair.objects(answer) if (text := _find(candidate, 0)) is not None]
    cleaned = [line for text in found if (line := _clean(text)) is not None]
    if cleaned:
        whole = (line for line in reversed(cleaned) if " " in line and summary_problem(line) is None)
        return next(whole, cleaned[0])
    text = _FENCE.sub("", answer[: json_repair.MAX_ANSWER]).strip()
    if found or text.startswith(("{", "[", "|")):
        return None
    return _clean(_PREAMBLE.sub("", text))


def _find(candidate: Any, depth: int) -> str | None:
    if isinstance(candidate, dict) and depth < 3:
        lowered = {key.lower(): value for key, value in list(candidate.items())[:50]}
        for key in _KEYS:
            value = lowered.get(key)
            if isinstance(value, str) and value.strip():
                return value
        for value in lowered.values():
            if (inner := _find(value, depth + 1)) is not None:
                return inner
    if isinstance(candidate, list) and depth < 3:
        return next((inner for item in candidate[:50] if (inner := _find(item, depth + 1)) is not None), None)
    return None


def _clean(text: str) -> str | None:
    printable = "".join(c if c.isprintable() else " " for c in text)
    plain = _LINK.sub(r"\1", _MARKDOWN.sub("", " ".join(printable.split())))
    line = plain.strip(" \"'`*_")
    if not any(c.isalnum() for c in line):
        return None
    # Cut off after its full stop, nothing of it is missing.
    return json_repair.CutText(line) if isinstance(text, json_repair.CutText) and not _END.search(line) else line


def _without_opening(line: str) -> str:
    for _ in range(4):
        if not _BAD_OPENING.match(line):
            return line
        for opener in _OPENERS:
            shorter = opener.sub("", line, count=1)
            if shorter != line and any(c.isalnum() for c in shorter):
                line = shorter.lstrip(" ,;:-")
                break
        else:
            return _without_first_words(line)
    return _without_first_words(line) if _BAD_OPENING.match(line) else line


def _without_first_words(line: str) -> str:
    words = line.split()
    while words and _BAD_OPENING.match(" ".join(words)):
        words.pop(0)
    return " ".join(words)


def _without(line: str) -> str:
    cleaned = _MARKETING.sub("", line)
    if cleaned == line:
        return line
    cleaned = re.sub(r"\s+", " ", cleaned).strip(" ,;:-")
    cleaned = re.sub(r"\s+([,.;:])", r"\1", cleaned)
    cleaned = re.sub(r",(?:\s*,)+", ",", cleaned)
    cleaned = re.sub(r"\b(an?|the)(?:\s*,\s*|\s+and\s+)", r"\1 ", cleaned, flags=re.IGNORECASE)
    cleaned = re.sub(r"^and\s+", "", cleaned)
    return re.sub(r"\b([Aa])n?\s+(?=([A-Za-z]))", _article, cleaned)


def _article(match: re.Match[str]) -> str:
    return f"{match.group(1)}{'n' if match.group(2).lower() in 'aeio' else ''} "


def _shorten(line: str, words: int) -> str:
    parts = line.split()
    if len(line) >= MAX_CHARS:
        # Whole words up to the limit, or part of one endless word.
        line = line[: MAX_CHARS - 1].rsplit(" ", 1)[0]
        parts = line.split()
    if len(parts) <= words:
        return line
    head = " ".join(parts[:words])
    # The last clause that ends within the limit, unless that would throw away more than half of it.
    ends = [m.start() for m in _CLAUSE.finditer(head)]
    whole = [end for end in ends if len(head[:end].split()) >= words // 2 and _balanced(head[:end])]
    if not whole:
        # Else before the last words that depend on what follows them, which may have been cut off.
        ends = [m.start() for m in _JOINT.finditer(head)]
        whole = [end for end in ends if len(head[:end].split()) >= 2 * words // 3 and _balanced(head[:end])]
    cut = head[: whole[-1]] if whole else head
    if not _balanced(cut):
        cut = cut[: cut.rfind("(")] or cut
    return DANGLING.sub("", cut).rstrip(" ,;:(-\u2013\u2014") or head


def _balanced(text: str) -> bool:
    return text.count("(") == text.count(")")
