"""Make the source and the clients of the providers that settings stand for, inside the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from engine.config import Secrets, Settings
from engine.errors import UsageError
from engine.events import Bus
from engine.pipeline.cards import WORKERS
from engine.pipeline.sync import MODEL_CALLS
from engine.providers import PROVIDERS, Choice, embedder_in_use, extraction_model, llm_in_use, module_of
from engine.providers.base import Access, Completer, Embedder, imported
from engine.sources.base import CardFetcher, Source


@dataclass(frozen=True, slots=True)
class Clients:
    """What enriches. `completer` is None where rules do it."""

    embedder: Embedder
    completer: Completer | None

    async def load(self) -> None:
        """Import now what would be imported by the first calls."""
        completing = () if self.completer is None else self.completer.libraries
        await imported(*self.embedder.libraries, *completing)


@asynccontextmanager
async def clients(settings: Settings, secrets: Secrets) -> AsyncIterator[Clients]:
    """Make the clients of the providers that the settings stand for, and close them afterwards.

    Raises:
        KeyRefusedError: a provider is asked for by name and its key is not set.
        UsageError: a provider needs a package that is not installed, or cannot do what is asked of it.
    """
    async with AsyncExitStack() as stack:
        choice = embedder_in_use(settings, secrets)
        access = _access(settings, secrets, choice, settings.embed_model)
        embedder: Embedder = module_of(choice.name).embedder(access)
        stack.push_async_callback(embedder.aclose)
        if settings.batch:
            _check_batches(settings, llm_in_use(settings, secrets))
        model = extraction_model(settings, secrets)
        if model is None:
            yield Clients(embedder, None)
            return
        chosen = completer(settings, secrets, model)
        stack.push_async_callback(chosen.aclose)
        yield Clients(embedder, chosen)


def completer(settings: Settings, secrets: Secrets, model: str) -> Completer:
    """Make the client of the language model's provider, for one of its models.

    Raises:
        UsageError: it needs a package that is not installed.
    """
    choice = llm_in_use(settings, secrets)
    made: Completer = module_of(choice.name).completer(_access(settings, secrets, choice, model, MODEL_CALLS))
    return made


def _access(settings: Settings, secrets: Secrets, choice: Choice, model: str | None, connections: int = 1) -> Access:
    row = choice.row
    return Access(
        rest=choice.rest,
        key=secrets.key(row.key) or "",
        address=secrets.address(row.address_variable, row.address),
        model=model or "",
        connections=connections,
        timeout=settings.timeout,
    )


def _check_batches(settings: Settings, choice: Choice) -> None:
    if "batches" in choice.row.kinds:
        return
    able = [row for row in PROVIDERS.values() if "batches" in row.kinds]
    raise UsageError(
        f"batch (from {settings.origin('batch')}) needs {' or '.join(row.title for row in able)}, "
        f"but the language model is {choice}.",
        hint=f"export {able[0].key}=…, or leave --batch out.",
    )


@asynccontextmanager
async def source(
    settings: Settings, secrets: Secrets, bus: Bus | None = None
) -> AsyncIterator[tuple[Source, CardFetcher | None]]:
    """Make the source that the settings name, with what fetches its cards (None where it holds them itself).

    `bus` is told of what the source has to try again.
    """
    endpoint = secrets.hub_address
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
    from engine.sources.files import SAMPLE, FileSource

    if settings.source == "sample":
        yield FileSource(SAMPLE, endpoint, settings.rank, name="sample"), None
    else:
        yield FileSource(Path(settings.source).expanduser(), endpoint, settings.rank), None
