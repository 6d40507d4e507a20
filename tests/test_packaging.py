"""What is built and installed is complete, and nobody else's."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        ["uv", "build", "--wheel", "--quiet", "--out-dir", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(done.stderr)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_the_wheel_holds_what_the_program_reads(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for needed in (
        "engine/store/hfmap.sqlite.schema.sql",
        "engine/sources/sample/cards/listing.json",
        "engine/providers/static_table/table.npz",
        "taxonomy/taxonomy.json",
        "taxonomy/examples.json",
        "taxonomy/keyless/lexicon.json",
        "taxonomy/keyless/linear.npz",
        "taxonomy/keyless/summary.json",
        "render/page/assets/vendor/manifest.json",
        "engine/py.typed",
        "taxonomy/py.typed",
        "render/py.typed",
    ):
        assert needed in names
    assert sum(name.startswith("engine/sources/sample/cards/") and name.endswith(".md") for name in names) >= 160
    tops = {name.split("/")[0] for name in names if not name.startswith("hfmap-")}
    assert tops == {"engine", "taxonomy", "render"}


def test_the_schema_in_the_wheel_is_the_one_at_the_root(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("engine/store/hfmap.sqlite.schema.sql") == (ROOT / "hfmap.sqlite.schema.sql").read_bytes()


def test_our_packages_come_from_hfmap_alone() -> None:
    found = packages_distributions()
    for package in ("engine", "taxonomy", "render"):
        assert set(found.get(package, ["hfmap"])) == {"hfmap"}


def test_nothing_committed_names_a_registry() -> None:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    hosts = [b"pypi" + b".org", b"pythonhosted" + b".org", b"registry.npmjs" + b".org", b"debian" + b".org"]
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".npz", ".png"}:
            content = path.read_bytes()
            assert not [host for host in hosts if host in content], name


def test_help_starts_without_the_heavy_libraries(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom engine.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'anthropic', 'cohere', 'huggingface_hub', 'umap', 'toponymy', 'datamapplot', 'pandas'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    for arguments in (["--help"], ["status"], ["sql", "select 1"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
        )  # fmt: skip
        assert "HEAVY []" in done.stdout, done.stdout + done.stderr
