"""Spelling of topic names: title case, cleaning, comparison, numbers that tell equals apart."""

from __future__ import annotations

import re
from collections.abc import Iterable

from render.topics.keyphrases import Phrase, key_of
from render.topics.words import LOWER_WORDS, SUBJECT_NAMES, TASK_NAMES, UPPER_WORDS

MOST_WORDS = 6
"""A longer name does not fit on the map."""

_SPACE = re.compile(r"\s+")
_EDGES = " \t\r\n\"'`*_#.:;,-–—"


def unlike(name: str, taken: Iterable[str]) -> str:
    """The name, or with a number after it if there is one like it; `taken` are folded."""
    used = set(taken)
    if folded(name) not in used:
        return name
    number, stem = 2, " ".join(name.split()[: MOST_WORDS - 1])
    while folded(f"{stem} {number}") in used:
        number += 1
    return f"{stem} {number}"


def display(phrase: Phrase) -> str:
    """A phrase as a name: title case, tasks by their usual names, acronyms in capitals."""
    if phrase.is_task:
        usual = TASK_NAMES.get(phrase.key) or SUBJECT_NAMES.get(phrase.key)
        if usual:
            return usual
    return title_case(phrase.text)


def title_case(text: str) -> str:
    """Capital first letters, but for short joining words; words with capitals inside stay as they are."""
    words = []
    for place, word in enumerate(text.split()):
        lower = word.lower()
        if lower in UPPER_WORDS:
            words.append(UPPER_WORDS[lower])
        elif place and lower in LOWER_WORDS:
            words.append(lower)
        elif word[1:] != word[1:].lower():
            words.append(word)
        else:
            words.append("-".join(part[:1].upper() + part[1:] for part in word.split("-")))
    return " ".join(words)


def clean(name: str) -> str:
    """One line without markup at its ends; empty where nothing is left that a person could read."""
    text = _SPACE.sub(" ", "".join(c if c.isprintable() else " " for c in name)).strip(_EDGES)
    return text if any(c.isalpha() for c in text) else ""


def acceptable(name: str, documents: Iterable[str] = ()) -> bool:
    """Whether a model's answer is a name: not empty, not over six words, not a title from the documents."""
    text = clean(name)
    if not text or len(text.split()) > MOST_WORDS or len(text) > 80:
        return False
    return folded(text) not in {folded(d) for d in documents}


def folded(name: str) -> str:
    """The form in which names are compared: lower case, singular, "&" as "and"."""
    return " ".join(key_of(name.replace("&", " and ")))
