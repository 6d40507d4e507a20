"""Search by meaning, on the sample, with nothing but this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.conftest import Run


def test_meaning_is_found_without_the_words(run_hfmap: Run, sample_map: Path, tmp_path: Path) -> None:
    shutil.copy(sample_map / "hfmap.sqlite", tmp_path)
    found = json.loads(
        run_hfmap("search", "--semantic", "--json", "--limit", 8, "recorded voices reading aloud").stdout
    )
    assert len(found) == 8
    assert all(-1 <= row["similarity"] <= 1 for row in found)
    assert [row["similarity"] for row in found] == sorted((row["similarity"] for row in found), reverse=True)
    speech = {"CSTR-Edinburgh/vctk", "google/fleurs", "facebook/voxpopuli", "facebook/multilingual_librispeech",
              "MLCommons/peoples_speech", "amphion/Emilia-Dataset", "reazon-research/reazonspeech"}  # fmt: skip
    assert len(speech & {row["repo_id"] for row in found}) >= 4
    # Words that mean nothing are near to nothing, rather than to whatever comes first.
    assert "no word to look for" in run_hfmap("search", "--semantic", "the of and", code=2).stderr


def test_embeddings_of_others_are_not_compared(run_hfmap: Run) -> None:
    from tests.services import Services, generated_cards

    with Services(generated_cards(5)) as services:
        run_hfmap("sync", "--no-map", env=services.env)
        done = run_hfmap("search", "--semantic", "birds", env=services.env, code=2)
        assert "embed-v4.0" in done.stderr
        assert services.cohere.texts_embedded == 5
