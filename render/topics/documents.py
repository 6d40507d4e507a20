"""What a topic is named from: each dataset as one document of names, tags and the beginning of its card."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from render.layout import quality
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
class Document:
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


def fingerprints(conn: sqlite3.Connection, layout_id: int) -> list[tuple[object, ...]]:
    """What the documents of a layout are made from, cheaply: one row a dataset, ordered by repository id."""
    rows = conn.execute(
        "SELECT d.dataset_id, d.repo_id, d.pretty_name, d.language, d.task_category, d.modality, d.size_category,"
        " d.metadata ->> '$.task_categories', d.metadata ->> '$.task_ids', d.metadata ->> '$.language',"
        " d.metadata ->> '$.languages', c.input_hash"
        " FROM position p JOIN dataset d ON d.dataset_id = p.dataset_id"
        " LEFT JOIN card c ON c.dataset_id = d.dataset_id"
        " WHERE p.layout_id = ? ORDER BY d.repo_id",
        (layout_id,),
    ).fetchall()
    subjects = quality.subjects(conn, [row[0] for row in rows])
    return [(*row[1:], subject) for row, subject in zip(rows, subjects, strict=True)]


def read_documents(conn: sqlite3.Connection, layout_id: int) -> list[Document]:
    """The documents of a layout's datasets, ordered by repository id."""
    rows = conn.execute(
        "SELECT d.dataset_id, d.repo_id, d.name, coalesce(d.pretty_name, ''), d.language, d.modality,"
        " d.size_category, d.metadata, coalesce(c.text, '')"
        " FROM position p JOIN dataset d ON d.dataset_id = p.dataset_id"
        " LEFT JOIN card c ON c.dataset_id = d.dataset_id"
        " WHERE p.layout_id = ? ORDER BY d.repo_id",
        (layout_id,),
    ).fetchall()
    subjects = quality.subjects(conn, [row[0] for row in rows])
    return [document(row, subject) for row, subject in zip(rows, subjects, strict=True)]


def document(row: Sequence[Any], subject: str | None = None) -> Document:
    """The document of a row of dataset_id, repo_id, name, pretty name, language, modality, size, metadata, card."""
    dataset_id, repo_id, name, pretty, language, modality, size, metadata, card = row
    facts = json.loads(metadata)
    return Document(
        dataset_id=dataset_id,
        repo_id=repo_id,
        title=" ".join((pretty or _spaced(name)).split()),
        tasks=tasks_of(facts) if isinstance(facts, dict) else (),
        subject="" if subject in _NO_SUBJECT else _spaced(subject or ""),
        language="" if language in _NO_LABEL or language == "Translation" else language,
        modality="" if modality in _NO_LABEL else modality,
        size="" if size in _NO_LABEL else size,
        body=strip(split_front_matter(card)[1][:_RAW_CHARS]).strip(),
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
