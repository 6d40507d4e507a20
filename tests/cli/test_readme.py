"""What the README promises about the command line."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from engine import errors
from engine.cli.app import COMMANDS
from engine.cli.app import hfmap as command
from engine.config import SETTING_NAMES, Settings

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


def test_the_defaults_it_states_are_those_in_force() -> None:
    stated = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", README.partition("| setting |")[2], re.MULTILINE)
    words = {
        "off": "False",
        **dict.fromkeys(("none", "the packaged one", "after changes to a fifth", "20 to 40"), "None"),
    }
    compared = 0
    for names, default in stated[: stated.index(next(row for row in stated if "`yes`" in row[0])) + 1]:
        parts = re.findall(r"\w+", names)
        values = [value.strip("` ") for value in default.split(",")]
        # One default for several settings: "off" is that of all, a name only of the first.
        values += [default if default in words else "none"] * (len(parts) - len(values))
        for name, value in zip(parts, values, strict=True):
            assert str(getattr(Settings(), name)) == words.get(value, value), name
            compared += 1
    assert compared == len(SETTING_NAMES)


@pytest.mark.parametrize("shell", re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
def test_every_block_of_commands_is_shell(shell: str) -> None:
    done = subprocess.run(["bash", "-n"], input=shell, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_two_commands_are_what_the_gate_runs() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    blocks = [block.strip() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]
    assert [block for block in blocks if block in gate] == blocks[:2]


def test_every_command_is_named_in_readme_or_changelog() -> None:
    text = README + (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"hfmap {name}" not in text] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/python.md"])
def test_every_path_it_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:engine|taxonomy|render|tests|tools|benchmarks|docs)/[^`*]*)`", text)
    assert named or page == "docs/python.md"
    assert [path for path in named if not (ROOT / path).exists()] == []
