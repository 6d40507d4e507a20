"""Which source and which providers the settings stand for. Clients are made here, inside the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from engine.config import Secrets, Settings, split_provider
from engine.errors import UsageError
from engine.events import Bus
from engine.pipeline.cards import WORKERS
from engine.pipeline.sync import MODEL_CALLS
from engine.providers.base import Completer, Embedder
from engine.providers.http import imported
from engine.sources.base import CardFetcher, Source


@dataclass(frozen=True, slots=True)
class Providers:
    """What enriches. `completer` is None where rules do it."""

    embedder: Embedder
    completer: Completer | None

    async def load(self) -> None:
        """Import now what would be imported by the first calls."""
        completing = () if self.completer is None else self.completer.libraries
        await imported(*self.embedder.libraries, *completing)


@asynccontextmanager
async def providers(settings: Settings, secrets: Secrets) -> AsyncIterator[Providers]:
    """Make the providers that the settings stand for, and close them afterwards.

    Raises:
        KeyRefusedError: a provider is asked for by name and its key is not set.
        UsageError: a provider needs a package that is not installed, or cannot do what is asked of it.
    """
    async with AsyncExitStack() as stack:
        embedder = _embedder(settings, secrets)
        stack.push_async_callback(embedder.aclose)
        if settings.batch and settings.llm_in_use(secrets) != "anthropic":
            raise UsageError(
                f"batch (from {settings.origin('batch')}) needs Anthropic, but the language model is "
                f"{settings.llm_in_use(secrets)}.",
                hint="export ANTHROPIC_API_KEY=…, or leave --batch out.",
            )
        model = extraction_model(settings, secrets)
        if model is None:
            yield Providers(embedder, None)
            return
        chosen = completer(settings, secrets, model)
        stack.push_async_callback(chosen.aclose)
        yield Providers(embedder, chosen)


def _embedder(settings: Settings, secrets: Secrets) -> Embedder:
    kind, rest = split_provider(settings.embedder_in_use(secrets))
    if kind == "cohere":
        from engine.providers.cohere import CohereEmbedder

        return CohereEmbedder(secrets.cohere or "", base_url=secrets.endpoints.cohere, timeout=settings.timeout)
    if kind == "openai":
        from engine.providers.openai import OpenAIEmbedder

        model = settings.embed_model or ""
        return OpenAIEmbedder(rest, secrets.openai, model=model, connections=1, timeout=settings.timeout)
    if kind == "model2vec":
        from engine.providers.model2vec import Model2VecEmbedder

        return Model2VecEmbedder(rest)
    from engine.providers.static import StaticEmbedder

    return StaticEmbedder()


def extraction_model(settings: Settings, secrets: Secrets) -> str | None:
    """Return the model that extracts and summarizes; None where rules do.

    Raises:
        KeyRefusedError: a provider is asked for by name and its key is not set.
    """
    kind, _ = split_provider(settings.llm_in_use(secrets))
    if kind != "anthropic":
        return settings.model if kind == "openai" else None
    from engine.providers.anthropic import EXTRACTION_MODEL

    return settings.model or EXTRACTION_MODEL


def naming_model(settings: Settings, secrets: Secrets) -> str | None:
    """Return the model that names topics; None where key phrases do.

    Raises:
        KeyRefusedError: a provider is asked for by name and its key is not set.
    """
    kind, _ = split_provider(settings.llm_in_use(secrets))
    if kind != "anthropic":
        return settings.model if kind == "openai" else None
    from engine.providers.anthropic import NAMING_MODEL

    return settings.model or NAMING_MODEL


def completer(settings: Settings, secrets: Secrets, model: str) -> Completer:
    """Make the client of the language model's provider, for one of its models.

    Raises:
        UsageError: it needs a package that is not installed.
    """
    kind, url = split_provider(settings.llm_in_use(secrets))
    if kind == "openai":
        from engine.providers.openai import OpenAICompleter

        return OpenAICompleter(url, secrets.openai, model=model, connections=MODEL_CALLS, timeout=settings.timeout)
    from engine.providers.anthropic import AnthropicCompleter

    return AnthropicCompleter(
        secrets.anthropic or "",
        base_url=secrets.endpoints.anthropic,
        model=model,
        connections=MODEL_CALLS,
        timeout=settings.timeout,
    )


@asynccontextmanager
async def source(
    settings: Settings, secrets: Secrets, bus: Bus | None = None
) -> AsyncIterator[tuple[Source, CardFetcher | None]]:
    """Make the source that the settings name, with what fetches its cards (None where it holds them itself).

    `bus` is told of what the source has to try again.
    """
    endpoint = secrets.endpoints.hub
    if settings.source == "hub":
        from engine.calls.caller import Caller
        from engine.hub.client import HubClient
        from engine.sources.hub import ATTEMPTS, HubSource

        client = HubClient(endpoint, secrets.hub, connections=WORKERS + 1, timeout=settings.timeout)
        # Its own, beside that of the cards: the Hub counts pages and cards in different quotas.
        one_page = anyio.CapacityLimiter(1)
        caller = Caller("The Hub", at_once=one_page, bus=bus or Bus(), stage="list", attempts=ATTEMPTS)
        async with aclosing(client):
            yield HubSource(client, settings.rank, caller), client
        return
    from engine.sources.files import FileSource

    if settings.source == "sample":
        from engine.sources.sample import CARDS

        yield FileSource(CARDS, endpoint, settings.rank, name="sample"), None
    else:
        yield FileSource(Path(settings.source).expanduser(), endpoint, settings.rank), None
