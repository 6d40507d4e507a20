"""Asking a model for the names of one layer of topics, and what becomes of its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import HfmapError
from render.topics.clusters import Labels
from render.topics.documents import Document
from render.topics.naming import Naming, acceptable, clean, folded, unlike
from render.topics.tree import Place

# Toponymy's own limit for one name.
MAX_TOKENS = 128


_ANSWER = re.compile(r'"topic_name"\s*:\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SKIP = "[!SKIP!]: "


class TopicNamer(Protocol):
    """Answers prompts, blocking; may be called from a thread without an event loop."""

    model: str

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> Sequence[str | HfmapError]:
        """Answer each (system, user) prompt, in order.

        An empty text stands for an answer that is of no use, an error for a question that got none: the call
        failed, or was not made (key, budget, quota, Ctrl-C).
        """


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
class Calls:
    """What is asked for a whole tree: how many calls may still be made."""

    left: int
    given: set[str]
    """Names that the model has given in finer layers."""


@dataclass(slots=True)
class LayerTask:
    """Asks for the names of one layer, checks them, asks again, and settles the rest."""

    request: Request
    namer: TopicNamer
    calls: Calls
    depth: int
    prompts: Sequence[str | dict[str, str]]
    unanswered: dict[int, HfmapError] = field(default_factory=dict)

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
                by_model[group] = names[group] in self.calls.given
        self._drop_unfit(names, by_model, kept)
        self._ask([g for g in range(count) if not names[g]], names, by_model, kept, again=False)
        self._ask([g for g in range(count) if not names[g]], names, by_model, kept, again=True)
        for group in range(count):
            if not names[group]:
                spare = self.request.spare[self.depth][group].name
                names[group] = unlike(spare, {folded(n) for n in names if n})
        self.calls.given.update(n for n, ours in zip(names, by_model, strict=True) if ours)
        return names, by_model

    def _ask(
        self, groups: list[int], names: list[str], by_model: list[bool], kept: Mapping[int, str], *, again: bool
    ) -> None:
        groups = [g for g in groups if isinstance(self.prompts[g], dict) and g not in self.unanswered]
        groups = groups[: self.calls.left]
        if not groups:
            return
        self.calls.left -= len(groups)
        taken = [n for n in names if n]
        asked = []
        for group in groups:
            prompt = self.prompts[group]
            assert isinstance(prompt, dict)  # noqa: S101 - filtered above
            asked.append((prompt["system"], prompt["user"] + (_second_try(taken) if again else "")))
        for group, answer in zip(groups, self.namer.complete_many(asked, MAX_TOKENS), strict=True):
            if isinstance(answer, HfmapError):
                self.unanswered[group] = answer
                continue
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
