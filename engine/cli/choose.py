"""Which source and which providers the settings stand for. Clients are made here, inside the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.config import Secrets, Settings
from engine.pipeline.cards import WORKERS
from engine.pipeline.sync import MODEL_CALLS
from engine.providers.base import Completer, Embedder
from engine.sources.base import CardFetcher, Source


@dataclass(frozen=True, slots=True)
class Providers:
    """What enriches. `completer` is None where rules do it, `namer` where topics are named from key phrases."""

    embedder: Embedder
    completer: Completer | None
    namer: Completer | None


@asynccontextmanager
async def providers(settings: Settings, secrets: Secrets) -> AsyncIterator[Providers]:
    """Make the providers that the settings stand for, and close them afterwards.

    Raises:
        KeyRefusedError: a provider is asked for by name and its key is not set.
    """
    async with AsyncExitStack() as stack:
        embedder = _embedder(settings, secrets)
        stack.push_async_callback(embedder.aclose)
        completer = _completer(settings, secrets, settings.model)
        namer = None
        if completer is not None:
            stack.push_async_callback(completer.aclose)
            namer = _completer(settings, secrets, settings.model or _naming_model())
            if namer is not None:
                stack.push_async_callback(namer.aclose)
        yield Providers(embedder, completer, namer)


def _naming_model() -> str:
    from engine.providers.anthropic import NAMING_MODEL  # noqa: PLC0415

    return NAMING_MODEL


def _embedder(settings: Settings, secrets: Secrets) -> Embedder:
    if settings.embedder_in_use(secrets) == "cohere":
        from engine.providers.cohere import CohereEmbedder  # noqa: PLC0415

        return CohereEmbedder(secrets.cohere or "", base_url=secrets.endpoints.cohere)
    from engine.providers.local import LocalEmbedder  # noqa: PLC0415

    return LocalEmbedder()


def _completer(settings: Settings, secrets: Secrets, model: str | None) -> Completer | None:
    if settings.llm_in_use(secrets) != "anthropic":
        return None
    from engine.providers.anthropic import EXTRACTION_MODEL, AnthropicCompleter  # noqa: PLC0415

    return AnthropicCompleter(
        secrets.anthropic or "",
        base_url=secrets.endpoints.anthropic,
        model=model or EXTRACTION_MODEL,
        connections=MODEL_CALLS,
    )


@asynccontextmanager
async def source(settings: Settings, secrets: Secrets) -> AsyncIterator[tuple[Source, CardFetcher | None]]:
    """Make the source that the settings name, with what fetches its cards (None where it holds them itself)."""
    endpoint = secrets.endpoints.hub
    if settings.source == "hub":
        from engine.sources.hub import HubCards, HubListing  # noqa: PLC0415

        cards = HubCards(endpoint, secrets.hub, connections=WORKERS)
        try:
            yield HubListing(endpoint, secrets.hub, settings.rank), cards
        finally:
            await cards.aclose()
        return
    from engine.sources.files import FileSource  # noqa: PLC0415

    if settings.source == "sample":
        from engine.sample import CARDS  # noqa: PLC0415

        yield FileSource(CARDS, endpoint, settings.rank, name="sample"), None
    else:
        yield FileSource(Path(settings.source).expanduser(), endpoint, settings.rank), None
