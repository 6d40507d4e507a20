"""The finished page, taken to where others see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.cli.app import hfmap

from .space_double import TOKEN, Hub, hub

SITE = {
    "index.html": "<!doctype html>map",
    "methodology.html": "<!doctype html>how",
    "preview.png": "picture",
    "data/abc-0.js": "hfmap.details(0,[]);",
    "data/abc-1.js": "hfmap.details(1,[]);",
}
Publish = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (SITE | {"hfmap.sqlite": "private", "data/.x.tmp": "half"}).items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HFMAP_OUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def publish(folder: Path) -> Publish:
    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(hfmap, ["publish", *arguments])
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


def content(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_for_pages_has_the_page_and_nothing_else(folder: Path, publish: Publish) -> None:
    publish("--pages", "docs/map")
    there = content(folder / "docs/map")
    assert there.pop(".nojekyll") == ""
    assert "hfmap publish" in there.pop(".hfmap")
    assert there == SITE
    assert [p.name for p in (folder / "docs").iterdir()] == ["map"]


def test_it_is_replaced_whole_and_what_belongs_to_the_place_stays(folder: Path, publish: Publish) -> None:
    place = folder / "gh-pages"
    (place / ".git").mkdir(parents=True)
    (place / ".git/HEAD").write_text("ref")
    (place / "CNAME").write_text("map.example.org")
    publish("--pages", "gh-pages")
    (folder / "site/data/abc-1.js").unlink()
    (folder / "site/index.html").write_text("new")
    publish("--pages", "gh-pages")
    there = content(place)
    assert there["index.html"] == "new"
    assert "data/abc-1.js" not in there
    assert there[".git/HEAD"] == "ref"
    assert there["CNAME"] == "map.example.org"
    assert {p.name for p in folder.iterdir()} == {"site", "gh-pages"}


@pytest.mark.parametrize("target", ["mine", "mine/notes.txt", "site", "site/data", "."])
def test_what_is_not_ours_is_left_alone(folder: Path, publish: Publish, target: str) -> None:
    (folder / "mine").mkdir()
    (folder / "mine/notes.txt").write_text("mine")
    before = content(folder)
    result = publish("--pages", target, code=2)
    assert "hfmap: " in result.stderr
    assert content(folder) == before


def test_where_the_swap_fails_everything_is_as_before(
    folder: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("--pages", "gh-pages")
    (folder / "gh-pages/CNAME").write_text("map.example.org")
    before = content(folder)
    (folder / "site/index.html").write_text("new")
    rename = Path.rename

    def broken(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    assert "the disk is gone" in publish("--pages", "gh-pages", code=1).stderr
    assert content(folder) == before | {"site/index.html": "new"}


def test_without_a_page_there_is_a_sentence(folder: Path, publish: Publish) -> None:
    result = publish("--pages", "docs", "--out", "nowhere", code=1)
    assert "There is no map in nowhere" in result.stderr
    assert "hfmap map" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [(), ("--pages", "a", "--space", "a/b"), ("--pages", "a", "--send"), ("--space", "name"), ("--space", "../x/y")],
)
def test_flags_that_make_no_sense(publish: Publish, arguments: tuple[str, ...]) -> None:
    publish(*arguments, code=2)


def test_a_space_is_only_shown_without_send(publish: Publish, service: Hub) -> None:
    result = publish("--space", "ada/map", "--json")
    told = json.loads(result.stdout)
    names = [file["name"] for file in told["files"]]
    assert set(names) == {*SITE, ".hfmap", "README.md"}
    assert told["bytes"] == sum(file["bytes"] for file in told["files"])
    assert told["sent"] is False
    assert service.seen == []
    words = publish("--space", "ada/map")
    assert "Nothing was sent" in words.stderr
    assert "HF_TOKEN" in words.stderr
    assert "index.html" in words.stdout


def test_sending_needs_a_token(publish: Publish, service: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "HF_TOKEN" in publish("--space", "ada/map", "--send", code=5).stderr
    assert service.seen == []
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrong")
    result = publish("--space", "ada/map", "--send", code=5)
    assert "may not write" in result.stderr
    assert "wrongwrong" not in result.output


def test_a_space_is_made_and_then_brought_up_to_date(
    folder: Path, publish: Publish, service: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    publish("--space", "ada/map", "--send")
    assert service.created[0]["type"] == "space"
    assert service.created[0]["sdk"] == "static"
    there = service.files["ada/map"]
    assert {name: there[name].decode() for name in SITE} == SITE
    assert b"sdk: static" in there["README.md"]
    assert "hfmap.sqlite" not in there

    (folder / "site/data/abc-1.js").unlink()
    (folder / "site/index.html").write_text("new")
    result = publish("--space", "ada/map", "--send", "--json")
    assert json.loads(result.stdout)["address"] == f"{service.address}/spaces/ada/map"
    assert service.commits == 2
    assert service.files["ada/map"]["index.html"] == b"new"
    assert "data/abc-1.js" not in service.files["ada/map"]


def test_another_space_is_left_alone(publish: Publish, service: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    service.files["ada/game"] = {"index.html": b"a game"}
    assert "does not come from" in publish("--space", "ada/game", "--send", code=2).stderr
    assert service.files["ada/game"] == {"index.html": b"a game"}


def test_a_hub_that_refuses_is_a_sentence(publish: Publish, service: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    service.fail_commits = True
    result: Any = publish("--space", "ada/map", "--send", code=1)
    assert "HTTP 400" in result.stderr
    assert "index.html" not in service.files["ada/map"]
