"""docs/python.md says what works: its examples run, in their order, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

EXAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.M | re.S)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("CO_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    assert len(EXAMPLES) >= 6
    namespace: dict[str, object] = {}
    for number, example in enumerate(EXAMPLES, 1):
        exec(compile(example, f"docs/python.md, example {number}", "exec"), namespace)
    printed = capsys.readouterr()
    assert "60 cards; site/index.html" in printed.out
    assert "60 datasets on the map" in printed.out
    assert printed.err == ""
    assert (tmp_path / "site" / "index.html").is_file()


async def _in_a_loop(settings: object) -> int:
    from engine.config import Settings
    from engine.run import foresee

    assert isinstance(settings, Settings)
    return foresee(settings).on_map


def test_runs_can_be_called_where_an_event_loop_runs(tmp_path: Path) -> None:
    import anyio

    from engine.config import Settings

    settings = Settings(
        source="sample", target=5, db=tmp_path / "none.sqlite", no_map=True, llm="local", embedder="local"
    )
    assert anyio.run(_in_a_loop, settings) == 5
