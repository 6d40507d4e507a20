"""Columns of the map page: one row per dataset on the map, and the regions that its topics name.

A `Frame` holds everything that the map page shows before anyone asks for more: one row per dataset on the map
that has a position in the newest layout, ordered by repository id, and the newest topic tree. Texts are plain
(see `render.escape`); categories are small integers into a vocabulary. What only the detail drawer needs is
read by `render.page.drawer`.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections import Counter
from dataclasses import astuple, dataclass, field
from datetime import date
from typing import Any

from engine.queries.map import MapTopic, map_points, map_topics, view_columns
from engine.store.views import taxonomy_in_force
from render.escape import plain
from render.page.axes import Axis, axes
from taxonomy import buckets
from taxonomy.buckets import UNKNOWN

SIZES = (*buckets.SIZES, UNKNOWN)
"""Size buckets from small to large."""

_SPELLING = {
    "sft": "SFT", "vqa": "VQA", "llm": "LLM", "rag": "RAG", "3d": "3D", "sharegpt": "ShareGPT",
}  # fmt: skip
_LAST = {UNKNOWN, "None", "Not stated", "Not applicable", "Other"}

MOST_WORDS = 31
"""Of a list's axis: the page keeps what a dataset has of it as a 32-bit set."""
RARER = "Rarer values"


@dataclass(frozen=True, slots=True)
class Region:
    """A named region of the map: a topic. `layer` 0 is the coarsest; `parent` is an index into `Frame.topics`, or -1."""

    name: str
    layer: int
    parent: int
    size: int


@dataclass(slots=True)
class Frame:
    """The page's columns: every list has one entry per dataset, in the order of `repo_ids`.

    axes: what can be filtered and coloured by; each has its codes (one word a dataset) or bits (a set of words).
    x, y: coordinates as the layout has them. likes, downloads: -1 where unknown. created, modified: days since
    1970-01-01, -1 where unknown. codes[key]: indices into vocabularies[key]. bits[key]: sets of such indices
    as integers (bit i for entry i). topic_of[layer]: indices into topics, -1 where a dataset is in none.
    novelty: 0 as before, 1 card changed, 2 new in the newest listing. day: the newest card's date.
    """

    axes: tuple[Axis, ...] = ()
    dataset_ids: list[int] = field(default_factory=list)
    repo_ids: list[str] = field(default_factory=list)
    pretty: list[str] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)
    licence: list[str] = field(default_factory=list)
    likes: list[int] = field(default_factory=list)
    downloads: list[int] = field(default_factory=list)
    created: list[int] = field(default_factory=list)
    modified: list[int] = field(default_factory=list)
    novelty: list[int] = field(default_factory=list)
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    codes: dict[str, list[int]] = field(default_factory=dict)
    bits: dict[str, list[int]] = field(default_factory=dict)
    vocabularies: dict[str, list[str]] = field(default_factory=dict)
    topics: list[Region] = field(default_factory=list)
    topic_of: list[list[int]] = field(default_factory=list)
    day: date | None = None

    def __len__(self) -> int:
        return len(self.repo_ids)

    def digest(self) -> str:
        """Hash every value here; SHA-256 in hex."""
        parts: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        parts["topics"] = [(t.name, t.layer, t.parent, t.size) for t in self.topics]
        parts["axes"] = [astuple(axis) for axis in self.axes]
        parts["day"] = self.day.isoformat() if self.day else None
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def sizes(self) -> list[float]:
        """Return the diameters of the markers in pixels: 3 + 15 · log10(likes), normalised to 0…1 over the map."""
        logs = [math.log10(max(likes, 1)) for likes in self.likes]
        low, high = (min(logs), max(logs)) if logs else (0.0, 0.0)
        span = high - low
        return [3 + 15 * ((value - low) / span if span else 0.5) for value in logs]


def read(conn: sqlite3.Connection) -> Frame:
    """Read the page's columns from the database."""
    there = view_columns(conn)
    # The view follows the taxonomy at the next sync or map: until then it may lack a field.
    found = tuple(axis for axis in axes(taxonomy_in_force(conn)) if axis.column in there)
    points = map_points(conn, [*(axis.column for axis in found), "primary_stage"])
    frame = Frame(axes=found)
    # The last run that brought something: a run that found nothing new must leave the page as it is.
    newest = max((max(point.first_seen_run or 0, point.stored_run or 0) for point in points), default=0)
    for point in points:
        frame.dataset_ids.append(point.dataset_id)
        frame.repo_ids.append(point.repo_id)
        pretty = plain(point.pretty_name, 120)
        frame.pretty.append("" if pretty == plain(point.name, 120) else pretty)
        frame.summary.append(plain(point.summary))
        frame.licence.append(plain(point.license, 40))
        frame.likes.append(-1 if point.likes is None else point.likes)
        frame.downloads.append(-1 if point.downloads is None else point.downloads)
        frame.created.append(_day(point.created_at))
        frame.modified.append(_day(point.last_modified))
        new = point.first_seen_run is not None and point.first_seen_run == newest
        changed = point.stored_run is not None and point.stored_run == newest
        frame.novelty.append(2 if new else 1 if changed else 0)
        frame.x.append(point.x)
        frame.y.append(point.y)
    *columns, stages = zip(*(point.values for point in points), strict=True) if points else [()] * (len(found) + 1)
    for axis, values in zip(found, columns, strict=True):
        # Most datasets share their values with others: each is put into words once.
        if axis.kind == "slugs":
            lists = {value: _labels(value, empty="None" if axis.may_be_empty else UNKNOWN) for value in set(values)}
            frame.bits[axis.key], frame.vocabularies[axis.key] = _encode_lists([lists[value] for value in values])
        else:
            flag, slug = axis.kind == "flag", axis.kind == "slug"
            labels = {value: _flag(value) if flag else label(value, slug=slug) for value in set(values)}
            frame.codes[axis.key], frame.vocabularies[axis.key] = _encode(axis.key, [labels[value] for value in values])
    if "stage" in frame.bits:
        # One of its stages, for the colours.
        spelled = [label(stage, slug=True) for stage in stages]
        frame.codes["primary"], frame.vocabularies["primary"] = _encode("primary", spelled)
    stored = max((point.stored_at or "" for point in points), default="")
    frame.day = date.fromisoformat(stored[:10]) if stored else None
    _add_topics(frame, map_topics(conn))
    return frame


def _day(text: str | None) -> int:
    try:
        return (date.fromisoformat((text or "")[:10]) - date(1970, 1, 1)).days
    except ValueError:
        return -1


def label(value: object, *, slug: bool) -> str:
    """Label of a value on the page; `slug`: a slug of the taxonomy, to be shown as words."""
    text = plain(value, 60)
    if not text:
        return UNKNOWN
    if not slug:
        return text
    words = text.replace("_", " ").replace("-", " ").split(" ")
    spelled = " ".join(_SPELLING.get(word.lower(), word) for word in words)
    return spelled[:1].upper() + spelled[1:]


def _flag(value: object) -> str:
    return UNKNOWN if value is None else "Yes" if value == 1 else "No"


def _labels(value: str | None, *, empty: str) -> list[str]:
    try:
        parsed = json.loads(value) if value else []
    except ValueError:
        parsed = value  # a single slug, from before the field was a list
    items = parsed if isinstance(parsed, list) else [parsed]
    if not items:
        return [empty if value else UNKNOWN]
    return list(dict.fromkeys(label(item, slug=True) for item in items))


def _order(counts: Counter[str]) -> list[str]:
    """Frequent values first; those that say nothing last."""
    return sorted(counts, key=lambda word: (word in _LAST, -counts[word], word))


def _encode(key: str, labels: list[str]) -> tuple[list[int], list[str]]:
    counts = Counter(labels)
    vocabulary = _order(counts)
    if key == "size":
        vocabulary.sort(key=lambda word: SIZES.index(word) if word in SIZES else len(SIZES))
    index = {word: i for i, word in enumerate(vocabulary)}
    return [index[word] for word in labels], vocabulary


def _encode_lists(rows: list[list[str]]) -> tuple[list[int], list[str]]:
    vocabulary = _order(Counter(word for labels in rows for word in labels))
    if len(vocabulary) > MOST_WORDS:
        vocabulary = [*vocabulary[: MOST_WORDS - 1], RARER]
    index = {word: i for i, word in enumerate(vocabulary)}
    last = len(vocabulary) - 1
    codes = [{index.get(word, last) for word in labels} for labels in rows]
    return [sum(1 << code for code in found) for found in codes], vocabulary


def _add_topics(frame: Frame, topics: list[MapTopic]) -> None:
    row_of = {dataset_id: i for i, dataset_id in enumerate(frame.dataset_ids)}
    members = {topic.topic_id: [row_of[i] for i in topic.members if i in row_of] for topic in topics}
    index: dict[int, int] = {}
    taken: set[tuple[int, str]] = set()
    for topic in topics:
        shown = plain(topic.name, 80)
        if not shown or not members[topic.topic_id]:
            continue
        # DataMapPlot merges equal names of one layer into one label, so they are told apart here.
        unique, count = shown, 1
        while (topic.layer, unique) in taken:
            count += 1
            unique = f"{shown} · {count}"
        taken.add((topic.layer, unique))
        index[topic.topic_id] = len(frame.topics)
        parent = -1 if topic.parent_id is None else index.get(topic.parent_id, -1)
        frame.topics.append(Region(unique, topic.layer, parent, len(members[topic.topic_id])))
    depth = max((region.layer for region in frame.topics), default=-1) + 1
    frame.topic_of = [[-1] * len(frame) for _ in range(depth)]
    for topic_id, region in index.items():
        for row in members[topic_id]:
            frame.topic_of[frame.topics[region].layer][row] = region
