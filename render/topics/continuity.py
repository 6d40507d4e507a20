"""Topics that live on: which topic of a new tree is which of the old one, and carrying a tree over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from render.libraries import heavy
from render.topics.tree import Place, Topic, Tree

# A topic is the same as before if it shares at least half of the members that either has.
SAME_MEMBERS = 0.5
# …and at least half of the datasets that were most typical of it are still in it, unchanged.
SAME_EXEMPLARS = 0.5
# While no more of the map has changed since the topics were clustered, new datasets join the topics they lie in. More
# than it takes for the map to be laid out again: that moves it by a few hundredths, yet clustered anew only a third of
# the topics would live on.
CARRY_SHARE = 0.30
# A dataset that has moved further since, as a share of the map's diameter, joins the topics that it now lies in.
STRAYED = 0.05
_VOTERS = 5


def match(old: Sequence[Topic], new: Sequence[Topic], unchanged: Collection[int]) -> dict[Place, Topic]:
    """Find the old topic that each new topic continues.

    Args:
        old: topics of the tree before.
        new: topics of the tree in the making.
        unchanged: dataset_ids whose text is the same as when the old tree was made.

    Returns:
        Old topics by the place of the new one that continues them; no old topic twice. Best overlaps are
        settled first; of equal ones that in the same layer, then the first.
    """
    homes: dict[int, list[int]] = defaultdict(list)
    for number, topic in enumerate(old):
        for member in topic.members:
            homes[member].append(number)
    pairs = []
    for number, topic in enumerate(new):
        shared: Counter[int] = Counter(h for member in topic.members for h in homes.get(member, ()))
        for candidate, count in shared.items():
            other = old[candidate]
            overlap = count / (len(topic.members) + len(other.members) - count)
            if overlap >= SAME_MEMBERS and _typical_stay(other, topic, unchanged):
                pairs.append((-overlap, abs(topic.place[0] - other.place[0]), number, candidate))
    found: dict[Place, Topic] = {}
    used: set[int] = set()
    for _, _, number, candidate in sorted(pairs):
        if candidate not in used and new[number].place not in found:
            used.add(candidate)
            found[new[number].place] = old[candidate]
    return found


def _typical_stay(old: Topic, new: Topic, unchanged: Collection[int]) -> bool:
    if not old.exemplars:
        return True
    members = set(new.members)
    stay = sum(e in members and e in unchanged for e in old.exemplars)
    return stay >= SAME_EXEMPLARS * len(old.exemplars)


def carry(old: Tree, places: Mapping[int, tuple[float, float]], kept: Collection[int]) -> list[Topic]:
    """The topics of a tree over a layout in which few datasets are new or have moved.

    Args:
        old: the tree before.
        places: coordinates by dataset_id, of all datasets in the new layout.
        kept: the dataset_ids that lie where they lay; they stay in their topics. Not empty.

    Returns:
        The old topics with the new layout's members. A dataset that is new or has moved joins, in each layer,
        what most of its five nearest kept ones belong to, be it no topic. Topics left empty are gone.
    """
    still = sorted(kept)
    fresh = sorted(places.keys() - set(kept))
    members: dict[Place, list[int]] = {t.place: [m for m in t.members if m in kept] for t in old.topics}
    if fresh:
        near = _nearest([places[i] for i in fresh], [places[i] for i in still])
        for layer in range(old.layers):
            topic_of = {m: t.place for t in old.topics if t.place[0] == layer for m in t.members}
            for dataset_id, row in zip(fresh, near.tolist(), strict=True):
                votes = Counter(topic_of.get(still[column]) for column in row)
                chosen = min(votes, key=lambda place: (-votes[place], place is None, place or (0, 0)))
                if chosen is not None:
                    members[chosen].append(dataset_id)
    return _renumbered(
        [
            replace(
                topic,
                members=sorted(members[topic.place]),
                exemplars=_still_typical(topic.exemplars, sorted(members[topic.place])),
                topic_id=None,
            )
            for topic in old.topics
            if members[topic.place]
        ]
    )


def _still_typical(exemplars: Sequence[int], members: Sequence[int]) -> list[int]:
    belong = set(members)
    return [e for e in exemplars if e in belong] or list(members[:1])


def _nearest(queries: Sequence[tuple[float, float]], base: Sequence[tuple[float, float]]) -> NDArray[np.int64]:
    tree = heavy("scipy.spatial").cKDTree(np.array(base))
    count = min(_VOTERS, len(base))
    found = np.asarray(tree.query(np.array(queries), k=count)[1], dtype=np.int64)
    return found.reshape(len(queries), count)


def _renumbered(topics: list[Topic]) -> list[Topic]:
    """Close the gaps that topics left in the numbers of their layers, and drop parents that are gone."""
    counts: Counter[int] = Counter()
    moved: dict[Place, Place] = {}
    layers = {layer: depth for depth, layer in enumerate(sorted({t.place[0] for t in topics}))}
    for topic in sorted(topics, key=lambda t: t.place):
        layer = layers[topic.place[0]]
        moved[topic.place] = (layer, counts[layer])
        counts[layer] += 1
    return [replace(t, place=moved[t.place], parent=None if t.parent is None else moved.get(t.parent)) for t in topics]
