"""The table of providers: a row and a module are a provider, and what was made by those of old stays theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from engine.config import Secrets, Settings
from engine.errors import KeyRefusedError, UsageError
from engine.pipeline.sync import specs_of
from engine.providers import (
    LOCAL,
    PROVIDERS,
    Provider,
    batches_of,
    check_providers,
    embedder_in_use,
    extraction_model,
    facts_of,
    forms,
    list_price,
    llm_in_use,
    load_secrets,
    module_of,
    naming_model,
    price_of,
)
from engine.providers.base import Access, Embedded
from engine.providers.prices import DEAREST, ModelFacts, Price
from engine.run.clients import clients
from taxonomy.card import CardInput
from taxonomy.model import load
from tests.conftest import clean_environment

KEYS = Secrets({"CO_API_KEY": "co-key-123456", "ANTHROPIC_API_KEY": "an-key-123456"})
SERVER = "openai:http://127.0.0.1:9/v1"

SPECS: list[tuple[Settings, list[str]]] = [
    (
        Settings(),
        [
            "cohere embed-v4.0 c75efc644b3f3579dd8cc751ab477d7372fb0165f3bfc41df3cd8c9d179b25ee",
            "anthropic claude-haiku-4-5-20251001 b8d825dae979c45f6b73d2c4cb031556a9b8cd2cf8a91b133caa348742faddc4",
            "anthropic claude-haiku-4-5-20251001 f2860c30b7a6eb9b7ebc279ca023270f21a7d3caecdade44cec8a9bdc0cd198f",
        ],
    ),
    (
        Settings(embedder="local", model="claude-haiku-5-5"),
        [
            "local hfmap-static-256 5ece6d3f81bde394fad4425526bfefe5683b10c50ee2107d0a13c58bde7fa92c",
            "anthropic claude-haiku-5-5 a3432a2a904d34ac587c59e8a7b5a1d1ebc1d8a7f89d6a6470c9a3c8de43d583",
            "anthropic claude-haiku-5-5 b5cf5b74c4daa00c72ff68dc6379f897ec35f0429c5c0856aecd0554c86d1338",
        ],
    ),
    (
        Settings(embedder=SERVER, embed_model="nomic", llm=SERVER, model="qwen3:8b"),
        [
            "openai nomic 28a0c22b61b8c1ad3509f5f41ea07e4ca1ed848b9aaa6f3b4970cfd2c47e6726",
            "openai qwen3:8b 125106dee5bd3ee99311a70b1e341a30d17cbc390e93c6ffc6a75fa8997ceef3",
            "openai qwen3:8b be162c508410e595d952bc916b17ac0d0d520fe44c4242ef238e2b3da272d068",
        ],
    ),
    (
        Settings(embedder="model2vec:minishlab/potion-base-8M"),
        ["model2vec minishlab/potion-base-8M d71e32f1e9230ae70b8ab56846ccbbdbcc110543d3c74c4b21352a608f1680cc"],
    ),
]
"""What settings stand for, by stage: embed, extract, summarize. Results are stored under these hashes."""


@pytest.mark.anyio
@pytest.mark.parametrize(("settings", "expected"), SPECS, ids=lambda value: str(getattr(value, "embedder", "")))
async def test_results_stored_earlier_are_still_those_of_the_same_settings(
    settings: Settings, expected: list[str]
) -> None:
    """A hash that changes here makes users pay for all of that stage again: that must be meant."""
    async with clients(settings, KEYS) as kit:
        specs = specs_of(kit.embedder, kit.completer, load())
    found = [f"{spec.provider} {spec.model} {spec.hash}" for spec in specs]
    assert found[: len(expected)] == expected


@pytest.mark.anyio
@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_module_makes_what_its_row_says(name: str) -> None:
    row, module = PROVIDERS[name], module_of(name)
    offered = {kind for kind, make in (("embed", "embedder"), ("complete", "completer"), ("batches", "batches"))
               if hasattr(module, make)}  # fmt: skip
    assert offered | {"rules"} == row.kinds | {"rules"}
    assert not row.paid or (row.key and row.address_variable and row.address and row.models)
    assert not row.key or row.key_use
    access = Access(rest="http://127.0.0.1:9/v1", key="k", address="http://127.0.0.1:9", model=row.extraction_model)
    for make in {"embedder", "completer"} & vars(module).keys():
        client = getattr(module, make)(access)
        assert (client.provider, client.paid) == (name, row.paid)
        assert not row.paid or client.model in row.models
        await client.aclose()
    named = {row.extraction_model, row.naming_model, row.cheaper_model} - {""}
    assert named <= row.models.keys()
    if "complete" in row.kinds and row.paid:
        assert row.extraction_model and row.naming_model  # noqa: PT018


def test_facts_of_models() -> None:
    assert list_price("claude-haiku-4-5") == Price(1.00, 5.00, 1.25, 0.10, batch=0.5)
    assert (list_price("gpt-9"), price_of("gpt-9"), price_of("gpt-9", paid=False)) == (None, DEAREST, Price(0.0))
    # A later snapshot of a known model caches and thinks as that one does, but has no price of its own.
    later = facts_of("claude-haiku-4-5-20270101")
    assert (later.cache_minimum, later.thinks, list_price("claude-haiku-4-5-20270101")) == (4096, False, None)
    assert facts_of("claude-sonnet-5-5-20270101").cache_minimum == 512
    assert facts_of("claude-sonnet-5").cache_minimum == 4096
    assert facts_of("claude-opus-6").thinks


def test_importing_the_table_imports_no_provider_and_no_library() -> None:
    code = "import sys, engine.providers; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"numpy", "anyio", "httpx", "cohere", "anthropic", "openai", "model2vec", "tokenizers"}
    assert {name for name in loaded if name.startswith("engine.providers.")} == {"engine.providers.prices"}


class FixedEmbedder:
    """Embeds everything as the same vector."""

    provider, model, dimensions, batch_size, paid, remote = "invented", "embed-9", 3, 8, True, True
    libraries: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {}

    def __init__(self, access: Access) -> None:
        self.access = access

    def text(self, card: CardInput) -> str:
        return card.text

    async def embed(self, texts: Sequence[str]) -> Embedded:
        return Embedded(np.ones((len(texts), 3), np.float32))

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is nothing but a module and a row."""
    module = ModuleType("engine.providers.invented")
    module.embedder = FixedEmbedder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "engine.providers.invented", module)
    row = Provider(
        title="Invented", module="invented", kinds=frozenset({"embed"}), key="INVENTED_KEY", key_use="vectors",
        address_variable="INVENTED_URL", address="https://invented.example", paid=True,
        models={"embed-9": ModelFacts(Price(0.2))},
    )  # fmt: skip
    monkeypatch.setitem(PROVIDERS, "invented", row)


@pytest.mark.anyio
@pytest.mark.usefixtures("invented")
async def test_a_new_provider_is_a_module_and_a_row() -> None:
    assert forms("embedder") == ("auto", "cohere", "local", "invented", "openai:URL", "model2vec:REPO")
    assert "invented" not in forms("llm")
    with pytest.raises(UsageError) as caught:
        check_providers(Settings(embedder="invnted"))
    assert caught.value.hint == "did you mean 'invented'?"

    secrets = load_secrets({"INVENTED_KEY": "in-key-123456", "INVENTED_URL": "http://127.0.0.1:9/"})
    assert secrets.redact("with in-key-123456") == "with ***"
    assert str(embedder_in_use(Settings(), secrets)) == "invented"
    with pytest.raises(KeyRefusedError, match="INVENTED_KEY is not set"):
        embedder_in_use(Settings(embedder="invented"), Secrets())
    async with clients(Settings(timeout=7), secrets) as kit:
        assert isinstance(kit.embedder, FixedEmbedder)
        assert kit.embedder.access == Access(key="in-key-123456", address="http://127.0.0.1:9", timeout=7)
    assert price_of("embed-9") == Price(0.2)


@pytest.mark.usefixtures("invented")
def test_doctor_knows_a_new_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.cli.app import hfmap

    monkeypatch.chdir(tmp_path)
    environment = {name: None for row in PROVIDERS.values() for name in (row.key, row.address_variable) if name}
    done = CliRunner().invoke(hfmap, ["doctor", "--json", "--offline"], env=environment | {"INVENTED_KEY": "k" * 8})
    said = {(check["name"], check["text"]) for check in json.loads(done.stdout)["checks"]}
    assert ("key", "INVENTED_KEY is set (vectors)") in said
    assert ("embedder", "invented (auto, from default)") in said
    assert ("service", "Invented at https://invented.example: not tried") in said


def test_models_in_use() -> None:
    own = Settings(model="claude-haiku-5-5")
    assert (extraction_model(Settings(), KEYS), naming_model(Settings(), KEYS)) == (
        "claude-haiku-4-5-20251001",
        "claude-sonnet-5-5",
    )
    assert extraction_model(own, KEYS) == naming_model(own, KEYS) == "claude-haiku-5-5"
    assert extraction_model(own, Secrets()) is naming_model(own, Secrets()) is None
    assert llm_in_use(Settings(llm="local"), KEYS).name == LOCAL
    assert batches_of(None) is None


@pytest.mark.anyio
async def test_batches_need_a_provider_that_has_them() -> None:
    with pytest.raises(UsageError, match=r"batch \(from default\) needs Anthropic, but the language model is local\."):
        async with clients(Settings(batch=True), Secrets()):
            pass
    async with clients(Settings(batch=True), KEYS) as kit:
        batches = batches_of(kit.completer)
    assert batches is not None
    assert batches.completer is kit.completer
