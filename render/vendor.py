"""Browser libraries that the page carries: deck.gl, Apache Arrow and the typeface.

They are not in the repository. `tools/hatch_build.py` fetches them while the package is built and lays them,
with a manifest, into `page/assets/vendor/`. This module says whether they are there and unharmed, and hands them
to DataMapPlot in the form that its offline mode reads. It imports nothing beyond the standard library: the
build hook loads it by its path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "page" / "assets" / "vendor"
FORMAT = 1
"""Of the manifest and the files it lists. Raised whenever the build hook writes them differently."""

FONT_FAMILY = "IBM Plex Sans"


@dataclass(frozen=True, slots=True)
class Vendor:
    """Folder of browser libraries whose every file has the hash that its manifest states.

    `versions` maps package names to exact versions; `digest` is the manifest's own SHA-256 in hex.
    """

    folder: Path
    versions: dict[str, str]
    digest: str

    def scripts(self, urls: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return DataMapPlot's table of scripts, for the addresses it would otherwise link to.

        Raises:
            KeyError: an address names a package or a file that is not carried.
        """
        carried = json.loads((self.folder / "js.json").read_text(encoding="ascii"))
        table = {}
        for url in urls:
            entry = next((e for e in carried if f"/{e['package']}@" in url and url.endswith(e["file"])), None)
            if entry is None:
                raise KeyError(url)
            table[url] = {"name": entry["name"], "encoded_content": entry["encoded_content"]}
        return table

    @property
    def fonts(self) -> Path:
        """Path of the file of typefaces that DataMapPlot takes."""
        return self.folder / "fonts.json"


def load(folder: Path = FOLDER) -> Vendor | None:
    """Load the vendor folder, or None where it is missing, incomplete or altered."""
    try:
        raw = (folder / "manifest.json").read_bytes()
        manifest: dict[str, Any] = json.loads(raw)
        if manifest["format"] != FORMAT:
            return None
        for name, digest in manifest["files"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                return None
        versions = {name: package["version"] for name, package in manifest["packages"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Vendor(folder, versions, hashlib.sha256(raw).hexdigest())


def pins(lock: Path) -> dict[str, dict[str, str]]:
    """Read version and integrity of each package wanted directly, from a package-lock.json of version 3."""
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    wanted = packages[""]["dependencies"]
    return {
        name: {key: packages[f"node_modules/{name}"][key] for key in ("version", "integrity")}
        for name in sorted(wanted)
    }
