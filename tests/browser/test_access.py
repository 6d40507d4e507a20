"""What axe-core finds, and what it cannot find: that everything can be reached without a mouse."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
Site = Callable[..., Path]
Open = Callable[..., Any]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, at the pinned version and with the pinned integrity."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm to fetch axe-core with")
    lock = json.loads((ROOT / "tools" / "browser" / "package-lock.json").read_text(encoding="utf-8"))
    pin = lock["packages"]["node_modules/axe-core"]
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", f"axe-core@{pin['version']}", "--silent", "--ignore-scripts"]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip("axe-core could not be fetched")
    (archive,) = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert f"sha512-{digest}" == pin["integrity"]
    with tarfile.open(archive) as tar:
        handle = tar.extractfile("package/axe.min.js")
        assert handle is not None
        return handle.read().decode("utf-8")


def violations(tab: Any, axe: str) -> list[str]:
    tab.evaluate(axe)
    result = tab.evaluate("() => axe.run().then(({violations, passes}) => ({violations, passes: passes.length}))")
    assert result["passes"] > 10, "axe looked at the page"
    found = result["violations"]
    return [
        f"{item['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for item in found
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(site: Site, opened: Open, axe: str, scheme: str) -> None:
    tab = opened(site(400), color_scheme=scheme)
    assert violations(tab, axe) == []
    tab.evaluate("() => { hfmap.drawer.open(3); hfmap.colors.choose('subject'); }")
    tab.wait_for_selector("#drawer .claims")
    for name in ("Colour", "Filter", "Topics", "List"):
        tab.get_by_role("button", name=name, exact=True).click()
        tab.evaluate("() => document.querySelectorAll('.facet').forEach((facet, k) => (facet.open = k < 3))")
        assert violations(tab, axe) == [], name
    tab.evaluate("() => hfmap.emit('hover', {index: 5, x: 700, y: 400})")
    assert violations(tab, axe) == []


def test_axe_finds_nothing_serious_on_a_phone(site: Site, opened: Open, axe: str) -> None:
    tab = opened(site(400), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    for name in ("Colour", "Filter", "Topics", "List"):
        tab.get_by_role("button", name=name, exact=True).tap()
        assert violations(tab, axe) == [], name
    tab.evaluate("() => hfmap.drawer.open(3)")
    tab.wait_for_selector("#drawer .claims")
    assert violations(tab, axe) == [], "drawer"
    tab.get_by_role("button", name="Full height").tap()
    assert violations(tab, axe) == [], "drawer at its full height"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_methodology(site: Site, opened: Open, axe: str, scheme: str) -> None:
    tab = opened(site(400), color_scheme=scheme)
    tab.get_by_role("link", name="Methodology").click()
    tab.wait_for_selector("h1:has-text('How this map is made')")
    assert violations(tab, axe) == []


def test_every_control_can_be_reached_with_the_tab_key(site: Site, opened: Open) -> None:
    tab = opened(site(400))
    tab.get_by_role("button", name="Filter", exact=True).click()
    wanted = tab.evaluate(
        """() => [...document.querySelectorAll('a[href], button, input, select, summary')]
          .filter(node => node.checkVisibility()).length"""
    )
    reached = tab.evaluate("() => (window.reached = new Set(), 0)")
    for _ in range(wanted + 5):
        tab.keyboard.press("Tab")
        reached = tab.evaluate(
            """() => {
              const node = document.activeElement;
              if (node.matches('a[href], button, input, select, summary')) {
                if (getComputedStyle(node).outlineStyle === 'none' && !node.matches('[type=range]')) throw new Error(node.outerHTML);
                window.reached.add(node);
              }
              return window.reached.size;
            }"""
        )
    assert reached == wanted
