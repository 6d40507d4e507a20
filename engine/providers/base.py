"""What a provider of embeddings or completions has to say for itself.

Retry, pacing, accounting, validation and storage are written once, in `engine.pipeline`; a provider makes one
call, maps its library's exceptions to `engine.errors`, and reports the tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.usage import Usage
from taxonomy.card import CardInput


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of one call: float32, shape (texts, dimensions), rows in the order of the texts."""

    vectors: NDArray[np.float32]
    usage: Usage = Usage()


class Embedder(Protocol):
    """Turns texts into vectors."""

    provider: str
    model: str
    dimensions: int
    """Numbers of a vector; 0 while that is not known."""
    batch_size: int
    """The most texts one call may carry."""
    paid: bool
    """Whether calls cost money, by the table of prices."""
    remote: bool
    """Whether calls go to a service: limited, retried, and entered in the ledger."""
    libraries: tuple[str, ...]
    """Modules that the first call imports, which takes up to a second."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything a vector depends on besides the text, provider and model; JSON values."""

    def text(self, card: CardInput) -> str:
        """Return the text of a card that is embedded, cut to the embedder's length."""

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed at most `batch_size` texts.

        Raises:
            ProviderError: as `engine.errors` draws it; TransientError where trying again may help.
        """

    async def aclose(self) -> None:
        """Close connections."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to a model.

    `schema` is the JSON schema of the answer, where one is wanted. `earlier` holds the turns before `user`: what was
    asked, what was answered, and so on.
    """

    system: str
    user: str
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    earlier: tuple[str, ...] = ()

    @property
    def most_input(self) -> int:
        """The most tokens the prompt is likely to have: half its UTF-8 bytes, twice what English text needs."""
        return sum(len(part.encode("utf-8", "replace")) for part in (self.system, self.user, *self.earlier)) // 2 + 200


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. `stop` is "length" where it was cut at max_tokens."""

    text: str
    stop: Literal["end", "length"] = "end"
    usage: Usage = Usage()


class Completer(Protocol):
    """Answers a prompt with text."""

    provider: str
    model: str
    paid: bool
    remote: bool
    libraries: tuple[str, ...]
    headroom: int
    """Tokens that the model may think before it answers, on top of a prompt's max_tokens."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything an answer depends on besides the prompt, provider and model; JSON values."""

    async def complete(self, prompt: Prompt) -> Completion:
        """Answer one prompt.

        Raises:
            ProviderError: as `engine.errors` draws it; RefusedError where the model declined.
        """

    async def aclose(self) -> None:
        """Close connections."""
