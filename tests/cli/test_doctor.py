from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.cli.app import hfmap as command

KEYS = {"CO_API_KEY": "co-key-abcdef", "ANTHROPIC_API_KEY": "sk-ant-abcdef", "HF_TOKEN": "hf_abcdef"}


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers 404 to everything and keeps what it was asked with."""

    seen: list[dict[str, str]]

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers.items()))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[tuple[str, list[dict[str, str]]]]:
    seen: list[dict[str, str]] = []
    handler = type("Handler", (Answering,), {"seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


def doctor(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(command, ["doctor", *arguments], env=environment)


def checks(result: Result, name: str) -> list[dict[str, Any]]:
    return [check for check in json.loads(result.stdout)["checks"] if check["name"] == name]


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_it_reaches_the_services_in_use_and_shows_no_key(
    database: Path, service: tuple[str, list[dict[str, str]]], arguments: list[str]
) -> None:
    url, seen = service
    result = doctor(*arguments, **KEYS, HF_ENDPOINT=url, CO_API_URL=url, ANTHROPIC_BASE_URL=url)
    assert result.exit_code == 0, result.output
    assert [key for key in KEYS.values() if key in result.output] == []
    assert result.stdout.count(f"{url} answers") == 3
    assert len(seen) == 3
    assert [key for headers in seen for key in KEYS.values() if key in str(headers)] == []


def test_only_services_in_use_are_tried(service: tuple[str, list[dict[str, str]]]) -> None:
    url, seen = service
    assert doctor(CO_API_URL=url, HFMAP_SOURCE="sample", **{"CO_API_KEY": "co-key-abcdef"}).exit_code == 0
    assert len(seen) == 1
    result = doctor("--offline", HF_ENDPOINT=url)
    assert result.exit_code == 0
    assert "not tried" in result.stdout
    assert len(seen) == 1


def test_a_service_that_does_not_answer_is_a_failure() -> None:
    # Port 9 on loopback: nobody listens. The password in the address is not repeated.
    result = doctor(HF_ENDPOINT="http://user:pass-word@127.0.0.1:9")
    assert result.exit_code == 1
    assert "Hub at http://127.0.0.1:9 does not answer" in result.stdout
    assert "pass-word" not in result.output


def test_settings_stand_with_their_origins(tmp_path: Path) -> None:
    (tmp_path / "hfmap.toml").write_text("target = 77\n")
    result = doctor("--json", "--offline", "--db", "x.sqlite", HFMAP_RANK="downloads", HFMAP_TARGT="1")
    settings = json.loads(result.stdout)["settings"]
    assert settings["target"] == {"value": 77, "origin": "hfmap.toml"}
    assert settings["rank"] == {"value": "downloads", "origin": "HFMAP_RANK"}
    assert settings["db"] == {"value": "x.sqlite", "origin": "--db"}
    assert settings["out"] == {"value": "site", "origin": "default"}
    assert "HFMAP_TARGET" in checks(result, "environment")[0]["text"]
    assert "hfmap sync --source sample" in checks(result, "database")[0]["text"]


def test_wrong_settings_are_a_finding_and_not_the_end(tmp_path: Path) -> None:
    (tmp_path / "hfmap.toml").write_text("targt = 77\n")
    result = doctor("--json", "--offline", CO_API_KEY="not a key")
    assert result.exit_code == 1
    assert checks(result, "settings")[0]["state"] == "failed"
    assert checks(result, "keys")[0]["state"] == "failed"
    assert "not a key" not in result.output
    assert checks(result, "python")[0]["state"] == "ok"


def test_a_provider_without_its_key_is_a_failure() -> None:
    result = doctor("--json", "--offline", HFMAP_LLM="anthropic")
    assert result.exit_code == 1
    assert checks(result, "llm")[0]["state"] == "failed"


def test_a_damaged_database_is_found(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[4096 * 3 : 4096 * 30] = b"\xa5" * (4096 * 27)
    database.write_bytes(content)
    result = doctor("--json", "--offline")
    assert result.exit_code == 1
    assert checks(result, "database")[0]["state"] == "failed"


def test_a_whole_database_and_sqlite_with_full_text_search(database: Path) -> None:
    result = doctor("--json", "--offline")
    assert result.exit_code == 0
    assert "whole" in checks(result, "database")[0]["text"]
    assert "FTS5" in checks(result, "sqlite")[0]["text"]
    assert checks(result, "packages")[0]["state"] in {"ok", "note"}
