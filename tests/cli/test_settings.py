from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import SETTING_NAMES, Secrets, Settings, load_settings, unknown_variables
from engine.errors import KeyRefusedError, UsageError
from engine.providers import PROVIDERS, check_providers, embedder_in_use, llm_in_use, load_secrets


def test_defaults_are_the_reference_values(tmp_path: Path) -> None:
    settings = load_settings({}, environ={}, cwd=tmp_path)
    assert settings == Settings()
    assert (settings.target, settings.overshoot, settings.rank) == (5000, 6000, "likes")
    assert {settings.origin(name) for name in SETTING_NAMES} == {"default"}


def test_flag_over_environment_over_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "hfmap.toml").write_text('target = 10\nrank = "downloads"\nno-map = true\nbudget = 2\n')
    environ = {"HFMAP_TARGET": "20", "HFMAP_RANK": "trending_score", "HFMAP_YES": "on", "HFMAP_OUT": " "}
    settings = load_settings({"target": "30", "rank": None}, environ=environ, cwd=tmp_path)
    found = {name: (getattr(settings, name), settings.origin(name)) for name in SETTING_NAMES}
    assert found["target"] == (30, "--target")
    assert found["rank"] == ("trending_score", "HFMAP_RANK")
    assert found["yes"] == (True, "HFMAP_YES")
    assert found["no_map"] == (True, "hfmap.toml")
    assert found["budget"] == (2.0, "hfmap.toml")
    assert found["out"] == (Path("site"), "default")
    assert found["overshoot"] == (1030, "default")


@pytest.mark.parametrize(("target", "listed"), [(1, 1001), (5000, 6000), (10_000, 12_000)])
def test_an_overshoot_nobody_sets_follows_the_target(tmp_path: Path, target: int, listed: int) -> None:
    assert load_settings({"target": target}, environ={}, cwd=tmp_path).overshoot == listed


@pytest.mark.parametrize(
    ("flags", "environ", "toml", "words"),
    [
        ({"target": "many"}, {}, "", ["target", "'many'", "--target"]),
        ({"target": "0"}, {}, "", ["target", "--target", "1 to"]),
        ({}, {"HFMAP_TARGET": "5.5"}, "", ["target", "HFMAP_TARGET"]),
        ({}, {}, "target = true", ["target", "hfmap.toml"]),
        ({}, {}, 'target = "10"', ["target", "hfmap.toml"]),
        ({}, {"HFMAP_QUIET": "maybe"}, "", ["quiet", "HFMAP_QUIET", "true or false"]),
        ({"rank": "like"}, {}, "", ["rank", "--rank", "likes, downloads"]),
        ({"llm": "cohere"}, {}, "", ["llm", "'cohere'", "--llm", "auto, anthropic, local, openai:URL."]),
        ({}, {"HFMAP_EMBEDDER": "local:x"}, "", ["embedder", "HFMAP_EMBEDDER", "cohere, local, openai:URL, model2vec"]),
        ({"budget": "nan"}, {}, "", ["budget", "--budget", "dollars"]),
        ({"budget": "-1"}, {}, "", ["budget", "--budget"]),
        ({"db": "  "}, {}, "", ["db", "--db"]),
        ({"target": "9000"}, {}, "overshoot = 8000", ["8000", "hfmap.toml", "9000", "--target"]),
        ({"json": True}, {"HFMAP_QUIET": "1"}, "", ["--json", "HFMAP_QUIET"]),
        ({}, {}, "target = ", ["hfmap.toml", "TOML"]),
    ],
)
def test_a_wrong_value_is_named_with_its_origin(
    tmp_path: Path, flags: dict[str, object], environ: dict[str, str], toml: str, words: list[str]
) -> None:
    if toml:
        (tmp_path / "hfmap.toml").write_text(toml)
    with pytest.raises(UsageError) as caught:
        check_providers(load_settings(flags, environ=environ, cwd=tmp_path))
    assert [word for word in words if word not in str(caught.value)] == []
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("key", "hint"),
    [("targt", "'target'"), ("embeder", "'embedder'"), ("CO_API_KEY", "environment"), ("zzzz", "known keys")],
)
def test_an_unknown_key_of_the_file_is_refused(tmp_path: Path, key: str, hint: str) -> None:
    file = tmp_path / "hfmap.toml"
    file.write_text(f'{key} = "secret-value"\n')
    with pytest.raises(UsageError) as caught:
        load_settings({}, environ={}, cwd=tmp_path)
    assert f"'{key}'" in str(caught.value)
    assert str(file) in str(caught.value)
    assert hint in (caught.value.hint or "")
    assert "secret-value" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"= 1", b"a = 1\na = 2"])
def test_a_damaged_file_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "hfmap.toml").write_bytes(content)
    with pytest.raises(UsageError, match="not valid TOML"):
        load_settings({}, environ={}, cwd=tmp_path)


def test_a_folder_in_the_files_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "hfmap.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings({}, environ={}, cwd=tmp_path)


def test_unknown_variables_are_told_with_the_nearest_setting() -> None:
    environ = {"HFMAP_TARGT": "1", "HFMAP_DEBUG": "1", "HFMAP_TARGET": "2", "OTHER": "3"}
    assert unknown_variables(environ) == {"HFMAP_TARGT": "HFMAP_TARGET"}


def test_keys_are_never_shown() -> None:
    secrets = load_secrets({"CO_API_KEY": " cohere-key-1 ", "HF_TOKEN": "hf_token_2", "ANTHROPIC_API_KEY": ""})
    assert (secrets.key("CO_API_KEY"), secrets.key("ANTHROPIC_API_KEY")) == ("cohere-key-1", None)
    assert secrets.hub == "hf_token_2"
    shown = f"{secrets!r} {secrets}"
    assert "cohere-key-1" not in shown
    assert "hf_token_2" not in shown
    assert "CO_API_KEY=set" in shown
    assert "ANTHROPIC_API_KEY" not in shown
    assert secrets.redact("Bearer hf_token_2 / cohere-key-1") == "Bearer *** / ***"


@pytest.mark.parametrize("key", ["with space", "line\nbreak", "schlüssel", "tab\tkey"])
def test_a_key_no_header_can_carry_is_refused_unseen(key: str) -> None:
    with pytest.raises(KeyRefusedError, match="CO_API_KEY") as caught:
        load_secrets({"CO_API_KEY": key})
    assert key not in f"{caught.value} {caught.value.hint}"
    assert caught.value.exit_code == 5


def test_base_urls() -> None:
    secrets = load_secrets({"HF_ENDPOINT": "http://127.0.0.1:8000/", "CO_API_URL": ""})
    cohere = PROVIDERS["cohere"]
    assert secrets.hub_address == "http://127.0.0.1:8000"
    assert secrets.address(cohere.address_variable, cohere.address) == "https://api.cohere.com"
    assert Secrets().hub_address == "https://huggingface.co"


@pytest.mark.parametrize("url", ["huggingface.co", "ftp://host", "http://", "http://host:notaport", "http://[::1"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        load_secrets({"HF_ENDPOINT": url})


def test_auto_takes_the_cloud_where_its_key_is_set() -> None:
    def chosen(settings: Settings, secrets: Secrets) -> tuple[str, str]:
        return str(embedder_in_use(settings, secrets)), str(llm_in_use(settings, secrets))

    both = Secrets({"CO_API_KEY": "k" * 8, "ANTHROPIC_API_KEY": "k" * 8})
    assert chosen(Settings(), Secrets()) == ("local", "local")
    assert chosen(Settings(), Secrets({"OPENAI_API_KEY": "k" * 8})) == ("local", "local")
    assert chosen(Settings(), both) == ("cohere", "anthropic")
    assert chosen(Settings(embedder="local"), both) == ("local", "anthropic")
    with pytest.raises(KeyRefusedError, match="ANTHROPIC_API_KEY is not set"):
        llm_in_use(Settings(llm="anthropic"), Secrets())


def test_a_provider_s_name_is_checked_with_the_nearest_one() -> None:
    with pytest.raises(
        UsageError, match=r"embedder is 'coher' \(from default\), but must be one of: auto, cohere"
    ) as caught:
        check_providers(Settings(embedder="coher"))
    assert caught.value.hint == "did you mean 'cohere'?"
