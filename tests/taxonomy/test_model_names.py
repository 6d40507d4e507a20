"""Model names that differ only in how they are written, and those that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.model_names import spelling_key, usual_spellings


@pytest.mark.parametrize(
    "names",
    [
        ("GPT-4", "gpt4", "GPT 4", "gpt_4", "Gpt\u20114", "GPT\u200b-4", " GPT-4. "),
        ("GPT-4o", "gpt 4o", "gpt4o"),
        ("Llama-2-7B", "Llama 2 7b", "llama2-7b", "LLaMA_2_7B"),
        ("GPT-3.5", "gpt 3.5", "GPT3.5", "gpt-3-5"),
        ("Claude 3.5 Sonnet", "claude-3-5-sonnet"),
        ("Llama 3.1-8B", "llama3.1 8b"),
        ("DALL·E 3", "DALL-E 3", "dalle3"),
        ("StableDiffusion XL", "stable-diffusion-xl"),
        ("Qwen2.5-1.5B", "qwen 2.5 1.5b"),
    ],
)
def test_spellings_of_one_model(names: tuple[str, ...]) -> None:
    assert len({spelling_key(name) for name in names}) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("GPT-4", "GPT-4o", "GPT-4.1", "GPT-41", "GPT-4 Turbo", "GPT-4o mini"),
        ("Llama-2-7B", "Llama-2-70B", "Llama-27B", "Llama 2.7B", "Llama-2"),
        ("Qwen2-57B", "Qwen2.5-7B", "Qwen-257B"),
        ("Phi-2-7B", "Phi-2.7B"),
        ("Command R", "Command R+"),
        ("o1", "o3", "o1-mini"),
        ("meta-llama/Llama-2-7b", "Llama-2-7b"),
    ],
)
def test_different_models_stay_apart(names: tuple[str, ...]) -> None:
    assert len({spelling_key(name) for name in names}) == len(names)


def test_the_commonest_spelling_is_shown() -> None:
    counts = {"GPT-4": 5, "gpt4": 3, "GPT 4": 1, "GPT-4o": 2, "Mixtral": 1}
    assert usual_spellings(counts) == {"gpt4": "GPT-4", "GPT 4": "GPT-4"}


def test_equals_are_settled_the_same_way_whatever_comes_first() -> None:
    names = ["gpt-4", "GPT4", "GPT-4", "gpt4"]
    for order in (names, names[::-1]):
        assert set(usual_spellings(dict.fromkeys(order, 2)).values()) == {"GPT-4"}


def test_a_spelling_that_a_person_used_wins() -> None:
    usual = usual_spellings({"GPT-4": 50, "gpt4": 3}, preferred={"GPT 4": 1})
    assert usual == {"GPT-4": "GPT 4", "gpt4": "GPT 4"}


@given(st.dictionaries(st.text(min_size=1, max_size=30), st.integers(1, 9), max_size=12))
def test_any_names(counts: dict[str, int]) -> None:
    usual = usual_spellings(counts)
    for name, shown in usual.items():
        assert spelling_key(name) == spelling_key(shown) != ""
        assert shown in counts
        assert counts[shown] >= counts[name]
        assert shown not in usual
