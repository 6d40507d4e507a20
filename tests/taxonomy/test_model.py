"""Loading a taxonomy: the packaged one, a user's own, and broken files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import positions
from taxonomy.model import PACKAGED, TaxonomyError, load

SLUGS = {
    "provenance_method": "human-created web-scraped sensor-recorded llm-generated translated filtered-subset remix"
    " algorithmically-derived mixed other not_stated",
    "subject_domain": "general-web-text instruction-and-chat code-and-software math-and-reasoning scientific-research"
    " medical-and-biomedical natural-images-and-video generated-media speech-and-audio legal-and-policy"
    " finance-and-business safety-alignment robotics-and-embodied 3d-and-simulation agent-and-tool-use"
    " entertainment-and-gaming geospatial multi-domain rag-evaluation other not_stated",
    "training_stage": "pretraining sft preference eval domain-finetune raw-corpus not_applicable other not_stated",
    "format_convention": "sharegpt alpaca preference-pairs prompt-completion vqa image-caption audio-transcript"
    " raw-text tabular structured-record other not_stated",
    "special_characteristics": "long-context multi-turn adversarial reasoning-traces low-resource-language"
    " multilingual-parallel roleplay long-form-generation",
    "geo_scope": "global not_applicable not_stated",
    "upstream_models": "not_applicable not_stated",
    "is_benchmark": "",
}


def test_the_packaged_taxonomy_has_the_fields_and_slugs_of_the_design() -> None:
    taxonomy = load()
    assert {field.name: set(field.names) for field in taxonomy} == {name: set(s.split()) for name, s in SLUGS.items()}
    for field in taxonomy:
        assert field.default is not None
        assert field.allows(field.default)
        assert field.rules


def test_fields_are_found_by_name() -> None:
    assert load().field("geo_scope").kind == "open"
    with pytest.raises(KeyError):
        load().field("colour")


def write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return path


def minimal(**changes: Any) -> dict[str, Any]:
    field = {"name": "colour", "kind": "one", "description": "What colour.", "slugs": {"red": "Red.", "blue": "Blue."}}
    return {"name": "mine", "fields": [{**field, **changes}]}


def test_a_users_taxonomy_is_read(tmp_path: Path) -> None:
    taxonomy = load(write(tmp_path, minimal(default="red", rules=["Purple is blue."])))
    assert taxonomy.field("colour").label == "Colour"
    assert taxonomy.field("colour").default == "red"


def test_the_digest_follows_the_content_and_not_the_file(tmp_path: Path) -> None:
    one = load(write(tmp_path, minimal())).digest
    assert load(write(tmp_path, json.dumps(minimal()))).digest == one
    assert load(write(tmp_path, minimal(description="Which colour."))).digest != one
    assert load(write(tmp_path, minimal(rules=["Purple is blue."]))).digest != one
    assert len(one) == 64


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"kind": "several"}, "one, many, open, flag"),
        ({"slugs": {}}, 'needs "slugs"'),
        ({"slugs": {"Red": "Red."}}, "lower-case"),
        ({"slugs": {"red": ""}}, "description"),
        ({"slugs": {"dark-red": "a", "dark_red": "b"}}, "punctuation"),
        ({"default": "green"}, '"default" must be one of its slugs'),
        ({"default": ["red"]}, '"default"'),
        ({"default": [["red"]]}, '"default"'),
        ({"kind": "many", "default": ["red", "red"]}, '"default"'),
        ({"kind": "flag"}, 'remove "slugs"'),
        ({"description": ""}, '"description"'),
        ({"rules": "Be kind."}, '"rules"'),
        ({"slug": {}}, 'unknown key "slug"'),
        ({"slugs": ["red"]}, "object"),
    ],
)
def test_an_error_names_file_line_and_field(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    path = write(tmp_path, minimal(**changes))
    with pytest.raises(TaxonomyError) as caught:
        load(path)
    message = str(caught.value)
    place, line, rest = message.split(":", 2)
    assert place == str(path)
    assert 'field "colour"' in rest
    assert word in message
    key = next(iter(changes))
    lines = path.read_text().splitlines()
    # The line is that of the key at fault or lies inside its value.
    assert int(line) >= next(n for n, text in enumerate(lines, 1) if f'"{key}"' in text)


def test_the_line_of_a_bad_slug_is_its_own(tmp_path: Path) -> None:
    content = json.dumps(minimal(), indent=1).replace('"Blue."', '""')
    number = next(n for n, text in enumerate(content.splitlines(), 1) if '"blue"' in text)
    with pytest.raises(TaxonomyError, match=rf":{number}: field \"colour\""):
        load(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"name": "x",\n"fields": [,]}', 2),
        ("", 1),
        ('{"name": "x",\n "name": "y", "fields": []}', 2),
        ("[" * 100_000, 1),
        ("[" * 60 + "]" * 60, 1),
        ("[]", 1),
        ('{"name": "x",\n\n"fields": [{"name": "A b"}]}', 3),
        ('{"name": "x",\n"fields": [{"name": "a", "kind": "flag", "description": "d"},\n{"name": 3}]}', 3),
    ],
)
def test_text_that_is_no_taxonomy_is_refused_with_its_line(tmp_path: Path, content: str, line: int) -> None:
    with pytest.raises(TaxonomyError, match=rf"mine\.json:{line}: "):
        load(write(tmp_path, content))


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match="check the path"):
        load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TaxonomyError, match="UTF-8"):
        load(tmp_path / "bad.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(json_values, st.sampled_from([None, 1, "\t"]))
def test_json_with_positions_is_json(value: Any, indent: int | str | None) -> None:
    source = json.dumps(value, indent=indent)
    parsed, lines = positions.parse(source)
    assert parsed == value
    assert lines[()] == 1
    assert max(lines.values()) <= source.count("\n") + 1


@given(st.sampled_from(["name", "kind", "description", "rules", "slugs", "default", "label"]), json_values)
def test_any_value_anywhere_is_a_taxonomy_or_a_taxonomy_error(key: str, value: Any) -> None:
    path = Path("x.json")
    source = json.dumps(minimal(**{key: value}))
    from taxonomy.model import _TaxonomyReader

    content, lines = positions.parse(source)
    message = "x.json:1: "
    try:
        field = _TaxonomyReader(path, lines).taxonomy(content).fields[0]
    except TaxonomyError as error:
        message = str(error)
    else:
        assert field.default is None or field.allows(field.default)
    assert message.startswith("x.json:1: ")


def test_the_packaged_file_is_the_default() -> None:
    assert load(PACKAGED) == load()
