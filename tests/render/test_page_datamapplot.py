"""What DataMapPlot does that makes each patch of it necessary: a test that fails here says that a patch may go.

Each case quotes the line of DataMapPlot 0.7.3 that a patch in render/page/datamapplot.py answers.
"""

from __future__ import annotations

import gzip
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

from render.page import datamapplot

datamapplot.load()

LINES = [
    # Home: a file of the user's is written and read when it is imported.
    ("config", "ConfigManager.__init__", 'self._config_dir = platformdirs.user_config_dir("datamapplot")'),
    ("config", "ConfigManager._ensure_config_file", "json.dump(DEFAULT_CONFIG, f, indent=2)"),
    ("offline_mode_caching", "", '_DATA_DIRECTORY = platformdirs.user_data_dir("datamapplot")'),
    # Home: style sheets are downloaded where the user has none.
    ("interactive_helpers", "prepare_offline_mode_data", "offline_mode_caching.cache_css_files()"),
    # Settings: what that file says changes the arguments of every plot.
    ("config", "ConfigManager._load_config", "self._config.update(loaded_config)"),
    ("config", "ConfigManager.complete", "return fn(*bound_args.args, **(bound_args.kwargs | from_config))"),
    # Bounds: of 99.9 % of the points, rounded down.
    ("create_plots", "", "raw_data_bounds = compute_percentile_bounds(data_map_coords)"),
    ("interactive_rendering", "", "bounds = compute_percentile_bounds("),
    ("interactive_helpers", "compute_percentile_bounds", "n_to_select = np.int32(n_points * (percentage / 100))"),
    # Clock: Python writes the time into what is compressed without another one.
    ("interactive_helpers", "encode_inline_data", "gzipped_bytes = gzip.compress(arrow_bytes)"),
    # Order: of hashes, which differ from process to process.
    ("interactive_helpers", "get_js_dependency_urls", "return list(set(js_dependency_urls))"),
    ("interactive_rendering", "", '"js_dependency_urls": get_js_dependency_urls('),
    # Bundling: imported with everything else, and compiled with it.
    ("edge_bundling", "", "from datashader.bundling import hammer_bundle"),
    ("interactive_rendering", "", "from datamapplot.edge_bundling import bundle_edges"),
]


# Functions that take settings are wrapped, and do not say what they wrap: of those the whole module is looked at.
@pytest.mark.parametrize(("module", "name", "line"), LINES)
def test_the_line_that_a_patch_answers_is_there(module: str, name: str, line: str) -> None:
    found: Any = importlib.import_module(f"datamapplot.{module}")
    for part in name.split(".") if name else ():
        found = getattr(found, part)
    assert line in [each.strip() for each in inspect.getsource(found).splitlines()]


def test_its_home_lasts_as_long_as_the_drawing() -> None:
    before = platformdirs.user_data_dir, platformdirs.user_config_dir
    with datamapplot.patched() as home:
        assert platformdirs.user_data_dir("datamapplot") == platformdirs.user_config_dir("datamapplot") == str(home)
        assert json.loads((home / "datamapplot_css_encoded.json").read_text()) == {}
    assert not home.exists()
    assert (platformdirs.user_data_dir, platformdirs.user_config_dir) == before


def test_settings_of_the_user_do_not_reach_a_drawing() -> None:
    from datamapplot.config import DEFAULT_CONFIG, ConfigManager

    manager = ConfigManager()
    manager["dpi"] = 7
    try:
        with datamapplot.patched():
            assert manager["dpi"] == DEFAULT_CONFIG["dpi"] != 7
        assert manager["dpi"] == 7
    finally:
        manager["dpi"] = DEFAULT_CONFIG["dpi"]


def test_bounds_are_the_whole_map_and_its_own_fail_on_one_point() -> None:
    from datamapplot import create_plots

    point = np.zeros((1, 2), np.float32)
    with pytest.raises(ValueError, match="zero-size array"):
        create_plots.compute_percentile_bounds(point)
    with datamapplot.patched():
        assert create_plots.compute_percentile_bounds(point) == [-15, 15, -15, 15]


def test_what_is_compressed_holds_no_time() -> None:
    from datamapplot import interactive_helpers

    with datamapplot.patched():
        packed = interactive_helpers.gzip.compress(b"points")
    assert packed[4:8] == bytes(4) != gzip.compress(b"points")[4:8]
    assert gzip.decompress(packed) == b"points"


def test_addresses_are_sorted() -> None:
    from datamapplot import interactive_rendering

    with datamapplot.patched():
        urls = interactive_rendering.get_js_dependency_urls(True, True, True)
    assert len(urls) == 4
    assert urls == sorted(urls)


def test_the_first_import_compiles_no_bundling_and_leaves_the_home_alone(tmp_path: Path) -> None:
    script = (
        "import sys; from render.page import datamapplot; datamapplot.load();"
        "assert 'datashader.bundling' not in sys.modules;"
        "from datamapplot import edge_bundling; edge_bundling.hammer_bundle()"
    )
    environment = {"HOME": str(tmp_path), "PATH": "", "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "NotImplementedError: hfmap's maps have no edges" in done.stderr
    assert not [path for path in tmp_path.rglob("*") if "datamapplot" in path.name]
