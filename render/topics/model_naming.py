"""Names of topics by a language model: Toponymy's prompts, asked through the engine's own client."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import HfmapError, StoppedError
from render.libraries import heavy
from render.topics.asking import Calls, LayerTask, Request, TopicNamer
from render.topics.clusters import Labels
from render.topics.tree import Place

# The published map's values for Toponymy.
OBJECTS = "HuggingFace dataset cards"
LOWEST_DETAIL = 0.5
HIGHEST_DETAIL = 1.0
EXEMPLAR_DELIMITERS = ['    * """', '"""\n']


class TextEncoder(Protocol):
    """Turns short texts into vectors, as Toponymy asks for them."""

    def encode(self, texts: Sequence[str], show_progress_bar: bool | None = None) -> NDArray[np.float32]:
        """Vectors of shape (texts, dimensions)."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of asking a model for the names of a tree."""

    names: list[list[tuple[str, bool]]]
    """For each layer (coarsest first) and group: the name, and whether the model gave it."""
    unanswered: dict[Place, HfmapError]
    """The groups that have another name because the model could not be asked, and why."""


def name_layers(
    request: Request, namer: TopicNamer, encoder: TextEncoder, on_named: Callable[[Sequence[str]], None]
) -> Answers:
    """Name the topics of a tree that has at least two in every layer.

    Args:
        request: what to name.
        namer: the model.
        encoder: for Toponymy's choice of subtopics, by the vectors of their names.
        on_named: told the names of each finished layer, but for those of the unanswered.

    Ctrl-C ends it early: layers that were not reached count as unanswered.

    Raises:
        HfmapError: whatever the namer raises.
    """
    toponymy = heavy("toponymy")
    finest_first = [np.asarray(labels) for labels in reversed(request.layers)]
    depth_of = {i: len(finest_first) - 1 - i for i in range(len(finest_first))}
    found: dict[int, list[tuple[str, bool]]] = {}
    unanswered: dict[Place, HfmapError] = {}

    def finished(depth: int, named: list[tuple[str, bool]], failed: Mapping[int, HfmapError]) -> None:
        found[depth] = named
        unanswered.update({(depth, group): error for group, error in failed.items()})
        on_named([name for group, (name, _) in enumerate(named) if group not in failed])

    layer_class = _layer_class(request, namer, depth_of, finished)
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
        try:
            model.fit([d.text for d in request.documents], request.vectors, request.vectors[:, :2])
        except KeyboardInterrupt:
            # What was asked for is paid for.
            stopped = StoppedError("the run is being stopped")
            for depth, spare in enumerate(request.spare):
                if depth not in found:
                    names = [request.kept.get((depth, group), s.name) for group, s in enumerate(spare)]
                    open_ = [group for group in range(len(spare)) if (depth, group) not in request.kept]
                    finished(depth, [(name, False) for name in names], dict.fromkeys(open_, stopped))
    return Answers([found[depth] for depth in range(len(request.layers))], unanswered)


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
    request: Request,
    namer: TopicNamer,
    depth_of: Mapping[int, int],
    finished: Callable[[int, list[tuple[str, bool]], Mapping[int, HfmapError]], None],
) -> type[Any]:
    calls = Calls(request.most_calls, set())
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
            task = LayerTask(request, namer, calls, depth, self.prompts)
            self.topic_names, by_model = task.names()
            all_topic_names[self.layer_id] = self.topic_names
            finished(depth, list(zip(self.topic_names, by_model, strict=True)), task.unanswered)
            return list(self.topic_names)

    return Layer
