"""What the README promises about the command line."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from engine import errors
from engine.cli.app import COMMANDS
from engine.cli.app import hfmap as command
from engine.config import SETTING_NAMES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
HFMAP = [line[line.index("hfmap") + 1 :] for line in LINES if "hfmap" in line]
QUESTIONS = [line for line in HFMAP if line[0] == "sql"]


def test_there_are_five_questions() -> None:
    assert len(QUESTIONS) == 5


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q[1][:60])
def test_each_question_runs_and_finds_something(database: Path, question: list[str], enriched: None) -> None:
    result = CliRunner().invoke(command, [*question, "--format", "json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)) >= 1


@pytest.mark.parametrize("line", HFMAP, ids=" ".join)
def test_every_command_line_is_understood(line: list[str]) -> None:
    group = click.Context(command)
    loaded = command.get_command(group, line[0])
    assert loaded is not None
    loaded.make_context(line[0], line[1:], parent=group)


def test_every_setting_and_exit_code_is_named() -> None:
    assert [name for name in SETTING_NAMES if f"`{name}`" not in README] == []
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    table = README.partition("## Exit codes")[2]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == codes


def test_every_command_is_named_in_readme_or_changelog() -> None:
    text = README + (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"hfmap {name}" not in text] == []


def test_every_path_it_names_is_there() -> None:
    named = re.findall(r"`((?:engine|taxonomy|render|tests)/[^`*]*)`", README)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
