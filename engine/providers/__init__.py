"""Look up the providers of embeddings and answers: the table of all there are, and which of them settings choose.

A provider is one module of this folder and one row of `PROVIDERS`. Importing this imports no provider and no library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from engine.config.secrets import Secrets, read_secrets
from engine.config.settings import Settings
from engine.errors import KeyRefusedError, UsageError
from engine.providers.prices import DEAREST, UNKNOWN, ModelFacts, Price
from engine.text import is_address

if TYPE_CHECKING:
    from engine.providers.base import Batches, Completer

Kind = Literal["embed", "complete", "batches", "rules"]
"""What a provider can do. All but "rules" are functions of its module: `embedder`, `completer`, `batches`; by "rules",
fields and summaries are made without a model."""

Role = Literal["embedder", "llm"]
"""The settings that name a provider."""

AUTO = "auto"
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Provider:
    """One row of the table.

    Attributes:
        title: its name in sentences.
        module: its module in this folder.
        kinds: what it can do.
        key: the variable of the environment that holds its key.
        key_use: what the key is for, as `hfmap doctor` says it.
        address_variable, address: the variable with another address than the usual one, and the usual one.
        paid: it costs money, and needs its key.
        takes: what follows its name after a colon: the address of a server, whose model has a setting, or a repository.
        models: what is known of its models.
        extraction_model, naming_model: those that read cards and name topics unless the settings name another.
        cheaper_model: the one that a dry run compares with.
    """

    title: str
    module: str
    kinds: frozenset[Kind]
    key: str = ""
    key_use: str = ""
    address_variable: str = ""
    address: str = ""
    paid: bool = False
    takes: Literal["", "URL", "REPO"] = ""
    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    extraction_model: str = ""
    naming_model: str = ""
    cheaper_model: str = ""


PROVIDERS: dict[str, Provider] = {
    "cohere": Provider(
        title="Cohere",
        module="cohere",
        kinds=frozenset({"embed"}),
        key="CO_API_KEY",
        key_use="embeddings by Cohere",
        address_variable="CO_API_URL",
        address="https://api.cohere.com",
        paid=True,
        models={"embed-v4.0": ModelFacts(Price(0.12))},
    ),
    "anthropic": Provider(
        title="Anthropic",
        module="anthropic",
        kinds=frozenset({"complete", "batches"}),
        key="ANTHROPIC_API_KEY",
        key_use="fields, summaries and topic names by Claude",
        address_variable="ANTHROPIC_BASE_URL",
        address="https://api.anthropic.com",
        paid=True,
        # Below so many tokens a system prompt is not cached (the vendor's documentation).
        models={
            "claude-haiku-4-5-20251001": ModelFacts(Price(1.00, 5.00, 1.25, 0.10, batch=0.5), 4096),
            "claude-haiku-4-5": ModelFacts(Price(1.00, 5.00, 1.25, 0.10, batch=0.5), 4096),
            "claude-haiku-5-5": ModelFacts(Price(0.10, 0.50, 0.125, 0.01, batch=0.5), 512, thinks=True),
            "claude-sonnet-5-5": ModelFacts(Price(2.00, 10.00, 2.50, 0.20, batch=0.5), 512, thinks=True),
            "claude-sonnet-5": ModelFacts(Price(2.00, 10.00, 2.50, 0.20, batch=0.5), thinks=True),
        },
        # The published map's model for extraction and summaries, and the live successor of the one that named its
        # topics: claude-sonnet-4-20250514 was retired on 15 June 2026.
        extraction_model="claude-haiku-4-5-20251001",
        naming_model="claude-sonnet-5-5",
        cheaper_model="claude-haiku-5-5",
    ),
    LOCAL: Provider(title="the local provider", module="static", kinds=frozenset({"embed", "rules"})),
    "openai": Provider(
        title="OpenAI",
        module="openai",
        kinds=frozenset({"embed", "complete"}),
        key="OPENAI_API_KEY",
        key_use="servers named as openai:URL, where they want a key",
        takes="URL",
    ),
    "model2vec": Provider(title="model2vec", module="model2vec", kinds=frozenset({"embed"}), takes="REPO"),
}


def _models() -> dict[str, ModelFacts]:
    return {name: facts for row in PROVIDERS.values() for name, facts in row.models.items()}


def list_price(model: str) -> Price | None:
    """Return a model's list price; None for one that is not in the table."""
    facts = _models().get(model)
    return facts.price if facts is not None else None


def price_of(model: str, *, paid: bool = True) -> Price:
    """Return what calls to a model are charged at; nothing for local ones, the dearest known price for unknown ones."""
    return (list_price(model) or DEAREST) if paid else Price(0.0)


def facts_of(model: str) -> ModelFacts:
    """Return what is known of a model; one that is not in the table is taken for the sibling whose name begins its own."""
    known = _models()
    nearest = max((name for name in known if model.startswith(name)), key=len, default=None)
    return UNKNOWN if nearest is None else known[nearest]


@dataclass(frozen=True, slots=True)
class Choice:
    """The provider that a setting stands for. `rest` is what follows its name after a colon, empty for most."""

    name: str
    rest: str = ""

    @property
    def row(self) -> Provider:
        """Its row in the table."""
        return PROVIDERS[self.name]

    def __str__(self) -> str:
        return f"{self.name}:{self.rest}" if self.rest else self.name


def forms(role: Role) -> tuple[str, ...]:
    """Return all that a setting may be, as it is shown: "auto", "cohere", …, "openai:URL"."""
    able = {name: row for name, row in PROVIDERS.items() if _fills(row, role)}
    plain = (name for name, row in able.items() if not row.takes)
    return (AUTO, *plain, *(f"{name}:{row.takes}" for name, row in able.items() if row.takes))


def _fills(row: Provider, role: Role) -> bool:
    return not row.kinds.isdisjoint(("embed",) if role == "embedder" else ("complete", "rules"))


def check_providers(settings: Settings) -> Settings:
    """Check the providers that settings name, and return the settings with addresses written in full.

    Raises:
        UsageError: there is no such provider, what follows its name is wrong, or no model is named where one must be.
    """
    checked = replace(
        settings,
        embedder=_read(settings.embedder, "embedder", settings.origin("embedder")),
        llm=_read(settings.llm, "llm", settings.origin("llm")),
    )
    for role, model in (("llm", "model"), ("embedder", "embed_model")):
        choice = getattr(checked, role)
        if choice != AUTO and _split(choice).row.takes == "URL" and getattr(checked, model) is None:
            raise UsageError(
                f"{role} is {choice} (from {checked.origin(role)}), but no model is named.",
                hint=f"name one that the server has: --{model.replace('_', '-')} NAME",
            )
    return checked


def _split(text: str) -> Choice:
    name, _, rest = text.partition(":")
    return Choice(name, rest)


def _read(text: str, role: Role, origin: str) -> str:
    all_forms = forms(role)
    name, colon, rest = text.partition(":")
    row = PROVIDERS.get(name)
    if text == AUTO or (row is not None and _fills(row, role) and not row.takes and not colon):
        return text
    if row is not None and _fills(row, role) and row.takes and rest.strip():
        return f"{name}:{_server(name, rest.strip(), role, origin) if row.takes == 'URL' else rest.strip()}"
    near = get_close_matches(text.lower(), all_forms, 1)
    raise UsageError(
        f"{role} is {text!r} (from {origin}), but must be one of: {', '.join(all_forms)}.",
        hint=f"did you mean '{near[0]}'?" if near else None,
    )


def _server(name: str, url: str, role: Role, origin: str) -> str:
    """Read the address of a server; one without a path gets the usual /v1."""
    if not is_address(url):
        raise UsageError(
            f"{role} (from {origin}) names no address that starts with http:// or https://.",
            hint=f"for a server on this machine: {name}:http://localhost:11434/v1",
        )
    parts = urlsplit(url)
    if "@" in parts.netloc:
        # Settings are kept in the database, and shown. The address is not repeated.
        raise UsageError(
            f"{role} (from {origin}) has a password in its address.", hint=f"keys go into {PROVIDERS[name].key}."
        )
    return parts._replace(path=parts.path.rstrip("/") or "/v1", fragment="").geturl()


def embedder_in_use(settings: Settings, secrets: Secrets) -> Choice:
    """Return the embedder that the settings stand for; `auto` takes the paid one whose key is set, else the local one.

    Raises:
        KeyRefusedError: a paid one is asked for by name and its key is not set.
    """
    return _in_use(settings, secrets, "embedder")


def llm_in_use(settings: Settings, secrets: Secrets) -> Choice:
    """Return the language model's provider that the settings stand for; see `embedder_in_use`."""
    return _in_use(settings, secrets, "llm")


def _in_use(settings: Settings, secrets: Secrets, role: Role) -> Choice:
    text: str = getattr(settings, role)
    if text == AUTO:
        cloud = (name for name, row in PROVIDERS.items() if row.paid and _fills(row, role) and secrets.key(row.key))
        return Choice(next(cloud, LOCAL))
    choice = _split(text)
    if choice.row.paid and not secrets.key(choice.row.key):
        raise KeyRefusedError(
            f"{choice} is asked for ({settings.origin(role)}), but {choice.row.key} is not set.",
            hint=f"export {choice.row.key}=…, or take the local provider, which needs no key.",
        )
    return choice


def extraction_model(settings: Settings, secrets: Secrets) -> str | None:
    """Return the model that extracts and summarizes; None where rules do. Raises as `embedder_in_use`."""
    row = llm_in_use(settings, secrets).row
    return None if "rules" in row.kinds else settings.model or row.extraction_model


def naming_model(settings: Settings, secrets: Secrets) -> str | None:
    """Return the model that names topics; None where key phrases do. Raises as `embedder_in_use`."""
    row = llm_in_use(settings, secrets).row
    return None if "rules" in row.kinds else settings.model or row.naming_model


def module_of(name: str) -> Any:
    """Import a provider's module, which makes what its `kinds` say: `embedder`, `completer`, `batches`."""
    return import_module(f"{__name__}.{PROVIDERS[name].module}")


def batches_of(completer: Completer | None) -> Batches | None:
    """Return what sends a completer's prompts in batches; None where it cannot."""
    row = PROVIDERS.get(completer.provider) if completer is not None else None
    if completer is None or row is None or "batches" not in row.kinds:
        return None
    made: Batches = module_of(completer.provider).batches(completer)
    return made


def key_variables() -> tuple[str, ...]:
    """Return the variables of the environment that hold providers' keys."""
    return tuple(row.key for row in PROVIDERS.values() if row.key)


def load_secrets(environ: Mapping[str, str] = os.environ) -> Secrets:
    """Keys and base URLs of the providers and the Hub from the environment.

    Raises:
        KeyRefusedError: a key holds characters that cannot stand in an HTTP header.
        UsageError: a base URL is not an http(s) address.
    """
    addresses = (row.address_variable for row in PROVIDERS.values() if row.address_variable)
    return read_secrets(environ, keys=key_variables(), addresses=tuple(addresses))
