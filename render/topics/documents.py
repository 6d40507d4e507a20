"""Documents that topics are named from: names, tags and the beginning of the card of each dataset."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from engine.store.topics import TopicSource, read_topic_sources
from taxonomy.cardtext import split_front_matter, strip

# The published map's cut of a card in a topic document.
EXCERPT_CHARS = 2000

# So much of a raw card holds more than the excerpt after its boilerplate is gone.
_RAW_CHARS = 8 * EXCERPT_CHARS

_NO_SUBJECT = frozenset({None, "other", "multi-domain"})
_NO_LABEL = frozenset({"", "Unknown", "Other", "None"})
# One task by many names, after the shape of its input: "rdf to text", "table to text", "amr to text generation".
_DATA_TO_TEXT = re.compile(r"(?:data|table|tabular|rdf|graph|amr|triples?|meaning repr\w+) to text(?: generation)?")


@dataclass(frozen=True, slots=True)
class TopicDocument:
    """One dataset as the naming of topics sees it."""

    dataset_id: int
    repo_id: str
    title: str
    tasks: tuple[str, ...]
    """Task categories and ids in words, lower case, as the tags give them."""
    subject: str
    """The subject domain in words, as extraction found it, or nothing."""
    language: str
    """An English language name, "Multilingual", or nothing."""
    modality: str
    size: str
    body: str
    """The card without front matter and boilerplate, whole."""
    languages: tuple[str, ...] = ()
    """Codes of all its languages, as the tags give them, lower case, without regions."""

    @property
    def text(self) -> str:
        """The document as a model reads it: names, tags and the beginning of the card."""
        tags = ", ".join(x for x in (*self.tasks, self.modality, self.language, self.size) if x)
        head = "\n".join(x for x in (self.title, self.repo_id, tags) if x)
        return f"{head}\n{self.body[:EXCERPT_CHARS]}".strip()


def read_documents(conn: sqlite3.Connection, layout_id: int) -> list[TopicDocument]:
    """The documents of a layout's datasets, ordered by repository id."""
    return [document(source) for source in read_topic_sources(conn, layout_id)]


def document(source: TopicSource) -> TopicDocument:
    """The document of what is stored of a dataset."""
    facts = json.loads(source.metadata)
    language, modality, size, subject = source.language, source.modality, source.size_category, source.subject
    return TopicDocument(
        dataset_id=source.dataset_id,
        repo_id=source.repo_id,
        title=" ".join((source.pretty_name or _spaced(source.name)).split()),
        tasks=tasks_of(facts) if isinstance(facts, dict) else (),
        subject="" if subject in _NO_SUBJECT else _spaced(subject or ""),
        language="" if language in _NO_LABEL or language == "Translation" else language,
        modality="" if modality in _NO_LABEL else modality,
        size="" if size in _NO_LABEL else size,
        body=strip(split_front_matter(source.card)[1][:_RAW_CHARS]).strip(),
        languages=languages_of(facts) if isinstance(facts, dict) else (),
    )


def languages_of(facts: dict[str, Any]) -> tuple[str, ...]:
    """Codes of a card's languages: "pt-BR" is "pt"."""
    found: dict[str, None] = {}
    for key in ("language", "languages"):
        values = facts.get(key)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str) and (code := re.split(r"[-_]", value.strip().lower())[0]):
                found[code] = None
    return tuple(found)


def tasks_of(facts: dict[str, Any]) -> tuple[str, ...]:
    """Task categories and ids in words: "token-classification-other-ner" says "ner"."""
    found: dict[str, None] = {}
    for key in ("task_categories", "task_ids"):
        values = facts.get(key)
        for value in values if isinstance(values, list) else ():
            if not isinstance(value, str):
                continue
            slug = value.strip().lower()
            words = _spaced(slug.rpartition("-other-")[2].removeprefix("other-"))
            words = "data to text" if _DATA_TO_TEXT.fullmatch(words) else words
            if words and words not in ("other", "n/a", "null"):
                found[words] = None
    return tuple(found)


def _spaced(slug: str) -> str:
    return " ".join(re.split(r"[-_\s]+", slug)).strip()
