"""The build hook and the libraries it fetches."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from render import vendor

ROOT = Path(__file__).parents[2]


def load_hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "tools" / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    pytest.importorskip("hatchling")
    spec.loader.exec_module(module)
    return module


def archive(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    path = folder / f"{name}.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for file, content in files.items():
            member = folder / "member"
            member.write_bytes(content)
            tar.add(member, f"package/{file}")
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for name in ("render/vendor.py", "tools/browser/package-lock.json", "tools/browser/.npmrc"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    return root


def test_the_lock_file_pins_by_integrity_and_names_no_host() -> None:
    lock = ROOT / "tools" / "browser" / "package-lock.json"
    assert '"resolved"' not in lock.read_text()
    assert json.loads(lock.read_text())["lockfileVersion"] == 3
    pins = vendor.pins(lock)
    assert {"deck.gl", "apache-arrow", "@fontsource/ibm-plex-sans"} <= set(pins)
    assert all(pin["integrity"].startswith("sha512-") for pin in pins.values())
    assert pins["deck.gl"]["version"].startswith("9.1."), "9.2 and later hide labels at first paint"


def test_scripts_survive_atob() -> None:
    hook = load_hook()
    written = hook.ascii_script('const a = "é — \U0001f600 \\" ";'.encode())
    assert written.isascii()
    assert written.decode("ascii") == 'const a = "\\u00e9 \\u2014 \\ud83d\\ude00 \\" ";'


def test_what_npm_brings_is_laid_out_and_verified(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hook = load_hook()
    fonts = {f"files/ibm-plex-sans-{s}-{w}-normal.woff2": b"woff" for s in hook.FONT_SUBSETS for w in hook.FONT_WEIGHTS}
    ranges = json.dumps(dict.fromkeys(hook.FONT_SUBSETS, "U+0-FF")).encode()
    archives = {
        "deck.gl": archive(tmp_path, "deck", {"dist.min.js": b"deck()", "LICENSE": b"MIT"}),
        "apache-arrow": archive(tmp_path, "arrow", {"Arrow.es2015.min.js": b"arrow()", "LICENSE.txt": b"Apache"}),
        "@fontsource/ibm-plex-sans": archive(tmp_path, "plex", {**fonts, "unicode.json": ranges, "LICENSE": b"OFL"}),
    }
    monkeypatch.setattr(hook, "fetch", lambda pins, npmrc, scratch: archives)
    assert hook.fill(checkout)
    folder = checkout / "render" / "page" / "assets" / "vendor"
    loaded = vendor.load(folder)
    assert loaded is not None
    scripts = loaded.scripts(["https://cdn.example/deck.gl@9.1/dist.min.js"])
    (entry,) = scripts.values()
    assert base64.b64decode(entry["encoded_content"]) == b"deck()"
    assert {path.name for path in (folder / "licenses").iterdir()} == {
        "deck.gl-LICENSE", "apache-arrow-LICENSE.txt", "fontsource-ibm-plex-sans-LICENSE",
    }  # fmt: skip
    with pytest.raises(KeyError):
        loaded.scripts(["https://cdn.example/jquery@3/jquery.js"])

    monkeypatch.setattr(hook, "fetch", lambda *_: pytest.fail("nothing is to be fetched twice"))
    assert not hook.fill(checkout)
    (folder / "js.json").write_bytes(b"[]")
    assert vendor.load(folder) is None, "an altered file is not used"


def test_a_package_without_the_right_integrity_is_refused(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hook = load_hook()
    fake = tmp_path / "bin" / "npm"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho tampered > deck.gl-9.1.9.tgz\n")
    fake.chmod(0o755)
    monkeypatch.setattr(hook, "find_npm", lambda: str(fake))
    with pytest.raises(hook.FetchError, match="integrity"):
        hook.fill(checkout)
    assert not (checkout / "render" / "page" / "assets" / "vendor").exists()


def test_without_a_network_npm_fails_and_the_build_does_not(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hook = load_hook()
    fake = tmp_path / "bin" / "npm"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'npm error network unreachable' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(hook, "find_npm", lambda: str(fake))
    with pytest.raises(hook.FetchError, match="network unreachable"):
        hook.fill(checkout)
    said: list[str] = []
    app = SimpleNamespace(display_warning=said.append)
    build = hook.BrowserLibraries(str(checkout), {}, None, None, "", "wheel", app)
    build.initialize("standard", {})
    assert "CDN" in said[0]


@pytest.mark.skipif(vendor.load() is None, reason="the browser libraries were not fetched at build time")
def test_the_wheel_carries_the_libraries(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    copy = tmp_path / "copy"
    ignore = shutil.ignore_patterns(
        ".git", ".venv", "node_modules", "__pycache__", "site", "*.sqlite", "*.sqlite-*", ".*_cache", "dist"
    )
    shutil.copytree(ROOT, copy, ignore=ignore)
    for name in ("README.md", "LICENSE"):
        (copy / name).touch()
    script = "import hatchling.build; hatchling.build.build_wheel('out')"
    subprocess.run([sys.executable, "-c", script], cwd=copy, check=True, capture_output=True)
    (wheel,) = (copy / "out").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"render/page/assets/vendor/{name}" for name in ("manifest.json", "js.json", "fonts.json")} <= names
    assert "render/page/assets/page.css" in names
