"""Names of topics by a language model: Toponymy's prompts, asked through the engine's own client, and checked."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import HfmapError, StoppedError
from engine.store.topics import TopicPlace
from render.libraries import heavy
from render.topics.clusters import Labels
from render.topics.documents import TopicDocument
from render.topics.naming import LocalName
from render.topics.wording import acceptable, clean, folded, unlike

# The published map's values for Toponymy.
OBJECTS = "HuggingFace dataset cards"
LOWEST_DETAIL = 0.5
HIGHEST_DETAIL = 1.0
EXEMPLAR_DELIMITERS = ['    * """', '"""\n']

# Toponymy's own limit for one name.
MAX_TOKENS = 128

_ANSWER = re.compile(r'"topic_name"\s*:\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SKIP = "[!SKIP!]: "

Prompt = str | dict[str, str]
"""A prompt's "system" and "user" parts; or a text with the name of a topic's only part, which is not asked for."""


class TopicNamer(Protocol):
    """Answers prompts, blocking; may be called from a thread without an event loop."""

    model: str

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> Sequence[str | HfmapError]:
        """Answer each (system, user) prompt, in order.

        An empty text stands for an answer that is of no use, an error for a question that got none: the call
        failed, or was not made (key, budget, quota, Ctrl-C).
        """


class TextEncoder(Protocol):
    """Turns short texts into vectors, as sentence encoders do."""

    def encode(self, texts: Sequence[str], show_progress_bar: bool | None = None) -> NDArray[np.float32]:
        """Vectors of shape (texts, dimensions)."""


@dataclass(frozen=True, slots=True)
class UnnamedTree:
    """All that names are made from. Layers are coarsest first, `kept` and `spare` by (layer, group)."""

    documents: Sequence[TopicDocument]
    vectors: NDArray[np.float32]
    layers: Sequence[Labels]
    parents: Sequence[Sequence[TopicPlace | None]]
    kept: Mapping[TopicPlace, str]
    """Names that stand; no call is made for them."""
    spare: Sequence[Sequence[LocalName]]
    """Names for where the model gives none that will do."""
    corpus: str
    most_calls: int


@dataclass(frozen=True, slots=True)
class ModelNames:
    """What came of asking a model for the names of a tree."""

    names: list[list[tuple[str, bool]]]
    """For each layer (coarsest first) and group: the name, and whether the model gave it."""
    unanswered: dict[TopicPlace, HfmapError]
    """The groups that have another name because the model could not be asked, and why."""


def name_layers(
    tree: UnnamedTree, namer: TopicNamer, encoder: TextEncoder, on_named: Callable[[Sequence[str]], None]
) -> ModelNames:
    """Name the topics of a tree that has at least two in every layer.

    Args:
        tree: what to name.
        namer: the model.
        encoder: for Toponymy's choice of subtopics, by the vectors of their names.
        on_named: told the names of each finished layer, but for those of the unanswered.

    Ctrl-C ends it early: layers that were not reached count as unanswered.

    Raises:
        HfmapError: whatever the namer raises.
    """
    prompts = _LayerPrompts(tree, encoder)
    asking = _Asking(tree, namer)
    found: dict[int, list[tuple[str, bool]]] = {}
    unanswered: dict[TopicPlace, HfmapError] = {}
    stopped: StoppedError | None = None
    for depth in reversed(range(len(tree.layers))):
        failed: Mapping[int, HfmapError] = {}
        try:
            if stopped is None:
                found[depth], failed = asking.layer(depth, prompts.layer(depth))
                prompts.named[depth] = [name for name, _ in found[depth]]
        except KeyboardInterrupt:
            # What was asked for is paid for.
            stopped = StoppedError("the run is being stopped")
        if stopped is not None and depth not in found:
            spare = tree.spare[depth]
            found[depth] = [(tree.kept.get((depth, group), s.name), False) for group, s in enumerate(spare)]
            failed = {group: stopped for group in range(len(spare)) if (depth, group) not in tree.kept}
        unanswered.update({(depth, group): error for group, error in failed.items()})
        on_named([name for group, (name, _) in enumerate(found[depth]) if group not in failed])
    return ModelNames([found[depth] for depth in range(len(tree.layers))], unanswered)


class _LayerPrompts:
    """Toponymy's prompts for one layer after the other, finest first: coarser ones tell the names of finer ones.

    Key phrases are ours: they leave out what all cards are made of, and cost no vectors.
    """

    def __init__(self, tree: UnnamedTree, encoder: TextEncoder) -> None:
        self.named: dict[int, list[str]] = {}
        self._tree = tree
        self._encoder = encoder
        self._texts = [d.text for d in tree.documents]
        self._detail = np.linspace(LOWEST_DETAIL, HIGHEST_DETAIL, len(tree.layers))
        self._parts = _parts(tree.parents)
        self._finest_names: NDArray[np.float32] | None = None

    def layer(self, depth: int) -> list[Prompt]:
        """The prompts for the groups of a layer; those of finer layers must be `named`."""
        # Toponymy counts layers from the finest.
        last = len(self._tree.layers) - 1
        number, labels = last - depth, self._tree.layers[depth]
        with warnings.catch_warnings():
            # Toponymy warns of its own deprecations and of libraries it would rather have.
            warnings.simplefilter("ignore")
            layer = heavy("toponymy").ClusterLayerText(
                labels,
                _centroids(labels, self._tree.vectors),
                layer_id=number,
                verbose=False,
                prompt_format="system_user",
                exemplar_delimiters=list(EXEMPLAR_DELIMITERS),
            )
            layer.make_exemplar_texts(self._texts, self._tree.vectors, method="central")
            layer.keyphrases = [list(spare.key_phrases) for spare in self._tree.spare[depth]]
            if number > 0:
                finest = self.named[last]
                if self._finest_names is None:
                    vectors = self._encoder.encode(finest, show_progress_bar=False)
                    self._finest_names = np.array(vectors, dtype=np.float32)
                layer.make_subtopics(finest, self._tree.layers[last], self._finest_names, method="central")
            names = [self.named.get(last - finer, []) for finer in range(last + 1)]
            prompts: list[Prompt] = layer.make_prompts(
                self._detail[number], names, OBJECTS, self._tree.corpus, self._parts
            )
        return prompts


def _centroids(labels: Labels, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean vector of each group of a layer, shape (groups, dimensions)."""
    counts = np.bincount(labels[labels >= 0])
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, labels[labels >= 0], vectors[labels >= 0])
    means: NDArray[np.float64] = sums / counts[:, None]
    return means


def _parts(parents: Sequence[Sequence[TopicPlace | None]]) -> dict[TopicPlace, list[TopicPlace]]:
    """Parts of each topic as Toponymy has them: layers counted from the finest, all the rest under a root."""
    last = len(parents) - 1
    found: dict[TopicPlace, list[TopicPlace]] = {}
    for depth, above in enumerate(parents):
        for number, parent in enumerate(above):
            upper = (last + 1, 0) if parent is None else (last - parent[0], parent[1])
            found.setdefault(upper, []).append((last - depth, number))
    return found


@dataclass(slots=True)
class _LayerNames:
    """The names of one layer in the making; an empty one is still to come."""

    depth: int
    prompts: Sequence[Prompt]
    names: list[str]
    by_model: list[bool]
    kept: set[int]
    """The groups whose names stand."""
    failed: dict[int, HfmapError] = field(default_factory=dict)

    def lacking(self) -> list[int]:
        """The groups without a name."""
        return [group for group, name in enumerate(self.names) if not name]


class _Asking:
    """Asks a model for the names of a tree, layer after layer, checks them, asks again, and settles the rest."""

    def __init__(self, tree: UnnamedTree, namer: TopicNamer) -> None:
        self._tree = tree
        self._namer = namer
        self._calls_left = tree.most_calls
        self._given: set[str] = set()
        """Names that the model has given in finer layers."""

    def layer(self, depth: int, prompts: Sequence[Prompt]) -> tuple[list[tuple[str, bool]], dict[int, HfmapError]]:
        """The names of one layer, all different, and whether each is the model's; why groups got no answer."""
        kept = {group for layer, group in self._tree.kept if layer == depth}
        names = [self._tree.kept.get((depth, group), "") for group in range(len(prompts))]
        layer = _LayerNames(depth, prompts, names, [False] * len(prompts), kept)
        for group, prompt in enumerate(prompts):
            # Toponymy lets a group with a single part have that part's name.
            if not names[group] and isinstance(prompt, str):
                names[group] = prompt.removeprefix(_SKIP)
                layer.by_model[group] = names[group] in self._given
        self._drop_unfit(layer)
        self._ask(layer, again=False)
        self._ask(layer, again=True)
        for group in layer.lacking():
            names[group] = unlike(self._tree.spare[depth][group].name, {folded(n) for n in names if n})
        self._given.update(n for n, ours in zip(names, layer.by_model, strict=True) if ours)
        return list(zip(names, layer.by_model, strict=True)), layer.failed

    def _ask(self, layer: _LayerNames, *, again: bool) -> None:
        more = _second_try([n for n in layer.names if n]) if again else ""
        asked: dict[int, tuple[str, str]] = {}
        for group in layer.lacking():
            prompt = layer.prompts[group]
            if not isinstance(prompt, str) and group not in layer.failed and len(asked) < self._calls_left:
                asked[group] = (prompt["system"], prompt["user"] + more)
        if not asked:
            return
        self._calls_left -= len(asked)
        answers = self._namer.complete_many(list(asked.values()), MAX_TOKENS)
        for group, answer in zip(asked, answers, strict=True):
            if isinstance(answer, HfmapError):
                layer.failed[group] = answer
                continue
            layer.names[group] = name_in(answer)
            layer.by_model[group] = bool(layer.names[group])
        self._drop_unfit(layer)

    def _drop_unfit(self, layer: _LayerNames) -> None:
        """Empty the names that are no names, and all but the first of those that are alike."""
        labels = self._tree.layers[layer.depth]
        seen = {folded(layer.names[group]) for group in layer.kept}
        for group, name in enumerate(layer.names):
            if not name or group in layer.kept:
                continue
            titles = [self._tree.documents[i].title for i in np.flatnonzero(labels == group).tolist()]
            if folded(name) in seen or not acceptable(name, titles):
                layer.names[group], layer.by_model[group] = "", False
            else:
                seen.add(folded(name))


def _second_try(taken: Sequence[str]) -> str:
    listed = "; ".join(taken[:60])
    return "\nThe name is to have at most six words, must not be the title of one of the samples" + (
        f", and must differ from these names that other groups have: {listed}." if listed else "."
    )


def name_in(answer: str) -> str:
    """The topic name in a model's answer, cleaned; empty where there is none."""
    found = _ANSWER.search(answer)
    if found is None:
        return ""
    try:
        return clean(str(json.loads(f'"{found.group(1)}"', strict=False)))
    except ValueError:
        return clean(re.sub(r"\\(.)", r"\1", found.group(1)))
