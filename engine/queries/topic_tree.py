"""Read the map's topics as a tree: names, sizes, key phrases and typical datasets."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from engine.errors import UsageError

_TREE = "SELECT tree_id, layout_id, layers, made_by, changed, created_at FROM topic_tree ORDER BY tree_id DESC LIMIT 1"
_TOPICS = """
SELECT coalesce(t.lasting_id, t.topic_id) AS id, t.layer, t.name, t.named_by, t.size,
    coalesce(p.lasting_id, p.topic_id) AS parent, t.key_phrases, t.exemplars
FROM topic t LEFT JOIN topic p ON p.topic_id = t.parent_id
WHERE t.tree_id = ? ORDER BY t.layer, t.size DESC, t.name
"""
# A dataset that has left the map, or is gone, is no example of what a reader finds there.
_EXEMPLARS = """
SELECT d.dataset_id, d.repo_id FROM topic t, json_each(t.exemplars) e
JOIN dataset d ON d.dataset_id = e.value WHERE t.tree_id = ? AND d.on_map = 1
"""


@dataclass(frozen=True, slots=True)
class TopicNode:
    """One topic of the tree.

    `id` lives on while the topic does, over layouts and namings; `parent` is that of the topic it is part of. Layer 0
    is the coarsest, `size` counts datasets, `exemplars` are ids of datasets on the map, most typical first.
    """

    id: int
    layer: int
    name: str
    named_by: str
    size: int
    parent: int | None
    key_phrases: tuple[str, ...]
    exemplars: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopicOutline:
    """The newest tree: `topics` ordered by layer and size, largest first.

    `made_by` is "clustered" or "carried" over from the tree before; `changed` counts the datasets that came, changed or
    went since the topics were last clustered.
    """

    tree_id: int
    layout_id: int
    layers: int
    made_by: str
    changed: int
    created_at: str
    topics: tuple[TopicNode, ...]


def topics(conn: sqlite3.Connection, layer: int | None = None) -> TopicOutline | None:
    """Read the newest topic tree, or one layer of it; None where no topics have been found yet.

    Raises:
        UsageError: the tree has no such layer.
    """
    head = conn.execute(_TREE).fetchone()
    if head is None:
        return None
    tree_id, layout_id, layers, made_by, changed, created_at = head
    if layer is not None and not 0 <= layer < layers:
        raise UsageError(f"There is no layer {layer}.", hint=f"layers are 0 (coarsest) to {layers - 1}.")
    names = dict(conn.execute(_EXEMPLARS, (tree_id,)))
    nodes = tuple(
        TopicNode(
            *(number, depth, name, named_by, size, parent),
            key_phrases=tuple(json.loads(phrases)),
            exemplars=tuple(names[each] for each in json.loads(exemplars) if each in names),
        )
        for number, depth, name, named_by, size, parent, phrases, exemplars in conn.execute(_TOPICS, (tree_id,))
        if layer is None or depth == layer
    )
    return TopicOutline(tree_id, layout_id, layers, made_by, changed, created_at, nodes)
