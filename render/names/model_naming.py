"""Names of topics by a language model: Toponymy's prompts, asked through the engine's own client."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from render.heavy import heavy
from render.names.naming import Naming, acceptable, clean, folded, unlike
from render.trees.clusters import Labels
from render.trees.topic_documents import Document
from render.trees.tree import Place

# The published map's values for Toponymy.
OBJECTS = "HuggingFace dataset cards"
LOWEST_DETAIL = 0.5
HIGHEST_DETAIL = 1.0
EXEMPLAR_DELIMITERS = ['    * """', '"""\n']
# Toponymy's own limit for one name.
MAX_TOKENS = 128

_ANSWER = re.compile(r'"topic_name"\s*:\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SKIP = "[!SKIP!]: "


class TopicNamer(Protocol):
    """Answers prompts, blocking; may be called from a thread without an event loop."""

    model: str

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> list[str]:
        """Answer each (system, user) prompt, in order; an empty text where there is no answer.

        Raises:
            HfmapError: the pass cannot go on (key, budget, quota).
        """


class TextEncoder(Protocol):
    """Turns short texts into vectors, as Toponymy asks for them."""

    def encode(self, texts: Sequence[str], show_progress_bar: bool | None = None) -> NDArray[np.float32]:
        """Vectors of shape (texts, dimensions)."""


@dataclass(frozen=True, slots=True)
class Request:
    """All that names are made from. Layers are coarsest first, `kept` and `spare` by (layer, group)."""

    documents: Sequence[Document]
    vectors: NDArray[np.float32]
    layers: Sequence[Labels]
    parents: Sequence[Sequence[Place | None]]
    kept: Mapping[Place, str]
    """Names that stand; no call is made for them."""
    spare: Sequence[Sequence[Naming]]
    """Names for where the model gives none that will do."""
    corpus: str
    most_calls: int


@dataclass(slots=True)
class _Budget:
    left: int
    given: set[str]
    """Names that the model has given in finer layers."""


def name_layers(
    request: Request, namer: TopicNamer, encoder: TextEncoder, on_named: Callable[[Sequence[str]], None]
) -> list[list[tuple[str, bool]]]:
    """Name the topics of a tree that has at least two in every layer.

    Args:
        request: what to name.
        namer: the model.
        encoder: for Toponymy's choice of subtopics, by the vectors of their names.
        on_named: told the names of each finished layer.

    Returns:
        For each layer (coarsest first) and group: the name, and whether the model gave it.

    Raises:
        HfmapError: whatever the namer raises.
    """
    toponymy = heavy("toponymy")
    finest_first = [np.asarray(labels) for labels in reversed(request.layers)]
    depth_of = {i: len(finest_first) - 1 - i for i in range(len(finest_first))}
    layer_class = _layer_class(request, namer, depth_of, on_named)
    with warnings.catch_warnings():
        # Toponymy warns of its own deprecations and of libraries it would rather have.
        warnings.simplefilter("ignore")
        model = toponymy.Toponymy(
            llm_wrapper=_SystemPrompts(),
            text_embedding_model=_Quiet(encoder),
            clusterer=_Prepared(
                [
                    layer_class(
                        labels,
                        _centroids(labels, request.vectors),
                        layer_id=i,
                        verbose=False,
                        prompt_format="system_user",
                    )
                    for i, labels in enumerate(finest_first)
                ],
                _parts(request.parents),
            ),
            layer_class=layer_class,
            keyphrase_builder=_Phrases(),
            object_description=OBJECTS,
            corpus_description=request.corpus,
            lowest_detail_level=LOWEST_DETAIL,
            highest_detail_level=HIGHEST_DETAIL,
            exemplar_delimiters=list(EXEMPLAR_DELIMITERS),
            verbose=False,
        )
        model.fit([d.text for d in request.documents], request.vectors, request.vectors[:, :2])
    return [list(zip(layer.topic_names, layer.by_model, strict=True)) for layer in reversed(model.cluster_layers_)]


def _centroids(labels: Labels, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean vector of each group of a layer, shape (groups, dimensions)."""
    counts = np.bincount(labels[labels >= 0])
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, labels[labels >= 0], vectors[labels >= 0])
    means: NDArray[np.float64] = sums / counts[:, None]
    return means


def _parts(parents: Sequence[Sequence[Place | None]]) -> dict[Place, list[Place]]:
    """Parts of each topic as Toponymy has them: layers counted from the finest, all the rest under a root."""
    last = len(parents) - 1
    found: dict[Place, list[Place]] = {}
    for depth, above in enumerate(parents):
        for number, parent in enumerate(above):
            upper = (last + 1, 0) if parent is None else (last - parent[0], parent[1])
            found.setdefault(upper, []).append((last - depth, number))
    return found


class _SystemPrompts:
    """What Toponymy wants to know of a model's wrapper; the layers themselves do the asking."""

    supports_system_prompts = True


@dataclass(slots=True)
class _Prepared:
    """A clusterer that has done its work."""

    cluster_layers_: list[Any]
    cluster_tree_: Any


@dataclass(slots=True)
class _Quiet:
    encoder: TextEncoder

    def encode(self, texts: Sequence[str], show_progress_bar: bool | None = None) -> NDArray[np.float32]:  # noqa: ARG002
        return np.array(self.encoder.encode(list(texts), show_progress_bar=False), dtype=np.float32)


@dataclass(slots=True)
class _Phrases:
    """Toponymy counts every run of one to four words before it names; the layers bring their own phrases."""

    def fit_transform(self, documents: Sequence[str]) -> tuple[None, list[str], NDArray[np.float32]]:
        del documents
        return None, [], np.zeros((0, 2), dtype=np.float32)


def _layer_class(
    request: Request, namer: TopicNamer, depth_of: Mapping[int, int], on_named: Callable[[Sequence[str]], None]
) -> type[Any]:
    budget = _Budget(request.most_calls, set())
    base: Any = heavy("toponymy").ClusterLayerText

    class Layer(base):  # type: ignore[misc]
        """A layer whose names are asked for in one go, checked, asked for again, and settled.

        Its key phrases are ours: they leave out what all cards are made of, and cost no vectors.
        """

        def make_keyphrases(self, *_: object, **__: object) -> list[list[str]]:
            self.keyphrases = [list(s.key_phrases) for s in request.spare[depth_of[self.layer_id]]]
            return list(self.keyphrases)

        def name_topics(
            self,
            _llm: object,
            _detail_level: float,
            all_topic_names: list[list[str]],
            *_: object,
            **__: object,
        ) -> list[str]:
            depth = depth_of[self.layer_id]
            task = _LayerTask(request, namer, budget, depth, self.prompts)
            self.topic_names, self.by_model = task.names()
            all_topic_names[self.layer_id] = self.topic_names
            on_named(self.topic_names)
            return list(self.topic_names)

    return Layer


@dataclass(slots=True)
class _LayerTask:
    request: Request
    namer: TopicNamer
    budget: _Budget
    depth: int
    prompts: Sequence[str | dict[str, str]]

    def names(self) -> tuple[list[str], list[bool]]:
        """The names of one layer, all different, and whether each is the model's."""
        count = len(self.prompts)
        kept = {g: n for (depth, g), n in self.request.kept.items() if depth == self.depth}
        names: list[str] = [kept.get(g, "") for g in range(count)]
        by_model = [False] * count
        for group, prompt in enumerate(self.prompts):
            # Toponymy lets a group with a single part have that part's name.
            if not names[group] and isinstance(prompt, str):
                names[group] = prompt.removeprefix(_SKIP)
                by_model[group] = names[group] in self.budget.given
        self._drop_unfit(names, by_model, kept)
        self._ask([g for g in range(count) if not names[g]], names, by_model, kept, again=False)
        self._ask([g for g in range(count) if not names[g]], names, by_model, kept, again=True)
        for group in range(count):
            if not names[group]:
                spare = self.request.spare[self.depth][group].name
                names[group] = unlike(spare, {folded(n) for n in names if n})
        self.budget.given.update(n for n, ours in zip(names, by_model, strict=True) if ours)
        return names, by_model

    def _ask(
        self, groups: list[int], names: list[str], by_model: list[bool], kept: Mapping[int, str], *, again: bool
    ) -> None:
        groups = [g for g in groups if isinstance(self.prompts[g], dict)][: self.budget.left]
        if not groups:
            return
        self.budget.left -= len(groups)
        taken = [n for n in names if n]
        asked = []
        for group in groups:
            prompt = self.prompts[group]
            assert isinstance(prompt, dict)  # noqa: S101 - filtered above
            asked.append((prompt["system"], prompt["user"] + (_second_try(taken) if again else "")))
        for group, answer in zip(groups, self.namer.complete_many(asked, MAX_TOKENS), strict=True):
            names[group] = name_in(answer)
            by_model[group] = bool(names[group])
        self._drop_unfit(names, by_model, kept)

    def _drop_unfit(self, names: list[str], by_model: list[bool], kept: Mapping[int, str]) -> None:
        """Empty the names that are no names, and all but the first of those that are alike."""
        labels = self.request.layers[self.depth]
        seen = {folded(n) for n in kept.values()}
        for group, name in enumerate(names):
            if not name or group in kept:
                continue
            titles = [self.request.documents[i].title for i in np.flatnonzero(labels == group).tolist()]
            if folded(name) in seen or not acceptable(name, titles):
                names[group], by_model[group] = "", False
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
