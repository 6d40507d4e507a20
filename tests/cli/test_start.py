from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = {
    *("anthropic", "cohere", "huggingface_hub", "numpy", "umap", "toponymy", "datamapplot", "sklearn"),
    *("transformers", "pyarrow", "pandas", "httpx", "yaml", "babel", "rapidfuzz", "stamina", "anyio"),
    *("engine.pipeline", "engine.providers.base", "engine.providers.static", "engine.sources"),
    *(
        "render.libraries",
        "render.layout.layout",
        "render.topics.topics",
        "render.page.page",
        "render.layout.placement",
    ),
}
PROBE = """
import json, sys, time
start = time.perf_counter()
from engine.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code or 0
print(json.dumps({"code": code, "seconds": time.perf_counter() - start, "modules": sorted(sys.modules)}),
      file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["status"],
        ["status", "--json"],
        ["diff", "1"],
        ["sql", "select count(*) from datasets"],
        ["show", "openai/gsm8k"],
        ["search", "film"],
        ["sync", "--help"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded_before_it_is_needed(
    database: Path,
    child_environment: Callable[..., dict[str, str]],
    arguments: list[str],
    record_property: Callable[[str, object], None],
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        cwd=database.parent,
        env=child_environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    facts = json.loads(done.stderr.splitlines()[-1])
    assert facts["code"] == 0
    assert HEAVY & set(facts["modules"]) == set()
    # For the record only: how long it takes depends on what else the machine does.
    record_property("seconds", facts["seconds"])


def test_every_command_has_help(hfmap: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    listed = hfmap("--help")
    assert listed.returncode == 0
    commands = ("sync", "map", "status", "diff", "sql", "show", "search", "related", "doctor")
    assert [name for name in commands if f"\n  {name}" not in listed.stdout] == []
    for name in ("sync", "sql"):
        helped = hfmap(name, "--help")
        assert helped.returncode == 0
        assert "--debug" in helped.stdout


def test_a_wrong_command_names_the_nearest(hfmap: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = hfmap("sycn")
    assert done.returncode == 2
    assert "Did you mean 'sync'?" in done.stderr
    assert done.stdout == ""
