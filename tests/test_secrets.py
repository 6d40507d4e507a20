"""Keys turn up nowhere: not in the database, its WAL, the page, standard output, errors or the log of a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from engine.config import Secrets
from tests.conftest import Run, clean_environment
from tests.services import Services, generated_cards
from tests.services.messages import Request, Response
from tests.zygote import Zygote

HUB_TOKEN = "hf_secretSecret0123456789"


@pytest.fixture
def services() -> Iterator[Services]:
    with Services(generated_cards(20), token=HUB_TOKEN, redirect="cdn") as running:
        yield running


def search(folder: Path, services: Services, *texts: str) -> None:
    """Look for every key in every file of the folder and in what was said."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert any(file.name == "hfmap.sqlite" for file in files)
    for secret in services.secrets:
        for text in texts:
            assert secret not in text
        for file in files:
            assert secret.encode() not in file.read_bytes(), file
            assert secret not in str(file)


def test_a_run_with_faults(run_hfmap: Run, services: Services, tmp_path: Path) -> None:
    for service in services.all:
        service.faults.set(rate_429=0.1, rate_reset=0.03, retry_after=0.01)
    said = []
    for flags in (["--json"], ["--quiet", "--refresh"]):
        done = run_hfmap("sync", "--no-map", *flags, env=services.env, code=None)
        said += [done.stdout, done.stderr]
    services.clear_faults()
    for question in (
        ["status"],
        ["doctor"],
        ["doctor", "--json"],
        ["sql", "SELECT settings FROM run", "--format=json"],
    ):
        done = run_hfmap(*question, env=services.env, code=None)
        said += [done.stdout, done.stderr]
    search(tmp_path, services, *said)


def _telling(error: Callable[..., Response], key: str, status: int, message: str, request: Request) -> Response:
    """An error that repeats the key."""
    return error(status, f"{message} You sent {key}.", request)


@pytest.mark.parametrize("fault", ["401", "403", "no_credit"])
def test_errors_that_repeat_the_key(run_hfmap: Run, services: Services, tmp_path: Path, fault: str) -> None:
    for service in (services.cohere, services.anthropic):
        service.error = partial(_telling, service.error, service.key or "")  # type: ignore[method-assign]
        service.faults.set(down=fault, retry_after=0.01)
    said = []
    for mode in ("--json", "--debug"):
        flags = ("sync", "--no-map", mode) if mode == "--json" else (mode, "sync", "--no-map")
        done = run_hfmap(*flags, env=services.env | {"HFMAP_TIMEOUT": "2"}, code=None)
        assert done.returncode in (3, 5)
        said += [done.stdout, done.stderr]
    search(tmp_path, services, *said)


def test_answers_of_every_kind_that_repeat_the_key(run_hfmap: Run, services: Services, tmp_path: Path) -> None:
    """What a service says of a request that it refuses is shown and stored; its key is cut out of it."""
    for service in (services.cohere, services.anthropic):
        service.error = partial(_telling, service.error, service.key or "")  # type: ignore[method-assign]
        for kind in ("500", "html", "garbage", "reset", "400"):
            service.faults.next(kind, message="No.")  # type: ignore[arg-type]
    done = run_hfmap("--debug", "sync", "--no-map", env=services.env, code=3)
    assert "HTTP 400: No. You sent ***" in done.stderr
    search(tmp_path, services, done.stdout, done.stderr)


def test_a_refused_hub_token(run_hfmap: Run, services: Services, tmp_path: Path) -> None:
    services.hub.faults.set(refuse_key=True)
    done = run_hfmap("sync", "--no-map", env=services.env, code=5)
    search(tmp_path, services, done.stdout, done.stderr)


def test_the_wal_of_a_run_that_is_killed(zygote: Zygote, services: Services, tmp_path: Path) -> None:
    with services.hold("summarize"):
        run = zygote.start(tmp_path, clean_environment(**services.env), "--debug", "sync", "--no-map")
        services.wait_for(lambda s: s.count("extract", ok=True) > 12)
        run.kill()
    assert (tmp_path / "hfmap.sqlite-wal").stat().st_size > 0
    search(tmp_path, services)


def test_a_map(draw_hfmap: Run, services: Services, tmp_path: Path) -> None:
    done = draw_hfmap("sync", env=services.env)
    assert (tmp_path / "site" / "index.html").is_file()
    search(tmp_path, services, done.stdout, done.stderr)


def test_secrets_do_not_show_themselves() -> None:
    secrets = Secrets({"CO_API_KEY": "co-secret-1234", "ANTHROPIC_API_KEY": "sk-secret-1234", "HF_TOKEN": HUB_TOKEN})
    for text in (repr(secrets), str(secrets), f"{secrets}"):
        assert "secret" not in text.lower().replace("secrets(", "")
    assert secrets.redact(f"a {HUB_TOKEN} b sk-secret-1234") == "a *** b ***"
