"""Display buckets of licences, sizes, languages, tasks and modalities: what datasets are filtered and drawn by.

The names and their order are those of the published map, so that both can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

UNKNOWN = "Unknown"
OTHER = "Other"

#: Written with en dashes, smallest first.
SIZES = (
    "<1K", "1K–10K", "10K–100K", "100K–1M", "1M–10M", "10M–100M", "100M–1B", "1B–10B", "10B–100B", "100B–1T", ">1T",
)  # fmt: skip

# First match wins; matched against the licence tag of the Hub, lower case.
_LICENSES = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"mit(?:-.*)?", "MIT"),
        (r"apache.*", "Apache"),
        (r"(?:l|a)?gpl.*|gnu.*", "GPL Family"),
        (r"(?:0)?bsd.*", "BSD"),
        (r"mpl.*", "MPL"),
        (r"cc0.*|pddl|public[- ]?domain.*|unlicense.*|wtfpl", "CC0 / Public Domain"),
        (r"cc-.*\bnc\b.*", "CC NonCommercial"),
        (r"cc-.*\bsa\b.*|gfdl", "CC ShareAlike"),
        (r"cc-by(?:-nd)?(?:-\d[\d.]*(?:-[a-z]{2,3})?)?", "CC BY"),
        (r"cc(?:-.*)?|creativecommons.*", "CC (other)"),
        (r"odc.*|odbl.*|etalab.*|cdla.*", "ODC / ODbL"),
        (r".*openrail.*|.*-rail.*|bigscience.*|bigcode.*", "OpenRAIL"),
        (r"llama.*", "Llama License"),
        (r"gemma.*", "Gemma License"),
        (
            r"afl.*|artistic.*|bsl.*|ecl.*|epl.*|eupl.*|isc|lppl.*|ms-pl|ncsa|ofl.*|osl.*|postgresql|zlib",
            "Other Permissive",
        ),
    )
)
_SIZE = re.compile(r"(?:(\d+)\s*([kmbt]?)\s*<\s*)?n\s*(?:([<>])\s*(\d+)\s*([kmbt]?))?", re.IGNORECASE)
_POWERS = {"": 0, "k": 3, "m": 6, "b": 9, "t": 12}
_CODE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")


def license_family(license: str | Sequence[str] | None) -> str:  # noqa: A002
    """Map a licence tag to its family, such as "cc-by-sa-4.0"; "Other" for what is unknown or not given."""
    if license is not None and not isinstance(license, str):
        license = next((item for item in license if isinstance(item, str)), None)  # noqa: A001
    if license is None:
        return OTHER
    tag = license.strip().lower().removeprefix("license:").replace(" ", "-")[:100]
    return next((family for pattern, family in _LICENSES if pattern.fullmatch(tag)), OTHER)


def size_category(size_categories: Sequence[str]) -> str:
    """Map size tags such as "10K<n<100K", "n<1K", "n>1T" to a size bucket: that of the first that is one."""
    if isinstance(size_categories, str):
        size_categories = [size_categories]
    return next((SIZES[place] for tag in size_categories if (place := _size_place(tag)) is not None), UNKNOWN)


def _size_place(tag: object) -> int | None:
    if not isinstance(tag, str) or len(tag) > 100:
        return None
    match = _SIZE.fullmatch(tag.strip().removeprefix("size_categories:").strip())
    if not match:
        return None
    low, low_unit, sign, high, high_unit = match.groups()
    if low is not None:
        exponent = _exponent(low, low_unit)
        return None if exponent is None else min(max(exponent - 2, 0), len(SIZES) - 1)
    if sign is None:
        return None
    exponent = _exponent(high, high_unit)
    if exponent is None:
        return None
    return min(max(exponent - (3 if sign == "<" else 2), 0), len(SIZES) - 1)


def _exponent(digits: str, unit: str) -> int | None:
    """The power of ten of "10", "K"; None for a number that is not one."""
    number = int(digits)
    if number < 1:
        return None
    return len(str(number)) - 1 + _POWERS[unit.lower()]


def language_label(
    languages: Sequence[str], multilinguality: Sequence[str] = (), task_categories: Sequence[str] = ()
) -> str:
    """Label languages: "Translation", "Multilingual", one language's English name, or "Unknown".

    What the author says about multilinguality counts before the number of languages: a "monolingual" dataset is
    drawn under its first language. Without that, two languages and translation as the first task are "Translation".
    """
    kinds = {tag.strip().lower().removeprefix("multilinguality:") for tag in multilinguality if isinstance(tag, str)}
    codes = list(dict.fromkeys(code for tag in languages if isinstance(tag, str) and (code := _code(tag))))
    for kind in ("translation", "multilingual"):
        if kind in kinds:
            return kind.title()
    if any(code.lower() in {"multilingual", "mul"} for code in codes):
        return "Multilingual"
    if len(codes) > 1 and "monolingual" not in kinds:
        return "Translation" if len(codes) == 2 and list(task_categories[:1]) == ["translation"] else "Multilingual"
    return language_name(codes[0]) if codes else UNKNOWN


def _code(tag: str) -> str:
    code = tag.strip().removeprefix("language:").strip()
    return "" if code.lower() in {"", "unknown", "und", "none", "other"} else code[:60]


@lru_cache(maxsize=4096)
def language_name(code: str) -> str:
    """Name a language tag in English (CLDR), regions and scripts left out; the tag itself where CLDR has no name."""
    base = re.split(r"[-_]", code, maxsplit=1)[0].lower()
    if not _CODE.fullmatch(code):
        # Some cards name the language instead of its code.
        return code.title() if code.title() in _languages()[1] else code
    names, _ = _languages()
    return names.get(base, code)


@lru_cache(maxsize=1)
def _languages() -> tuple[dict[str, str], frozenset[str]]:
    """English names by code, three-letter codes included, and the set of the names."""
    # CLDR is read from files, which takes time that not every command has.
    from babel import Locale
    from babel.core import get_global

    names = {str(code): str(name) for code, name in Locale("en").languages.items()}
    for alias, code in get_global("language_aliases").items():
        if code in names:
            names.setdefault(str(alias), names[code])
    return names, frozenset(names.values())


def display(slug: str) -> str:
    """Format a slug for display: "text2text-generation" → "Text2text Generation", "not_stated" → "Not Stated"."""
    return " ".join(word[:1].upper() + word[1:] for word in re.split(r"[-_\s]+", slug) if word)


def task_label(task_categories: Sequence[str]) -> str:
    """Label tasks: the first task category, for display; "Other" where there is none."""
    return _first(task_categories, "task_categories:")


#: Where no modality is tagged, the task tells.
_TASK_MODALITIES = (
    (re.compile(r".*(?:3d)"), "3d"),
    (re.compile(r".*video.*"), "Video"),
    (re.compile(r".*(?:image|visual|vision|depth-estimation|object-detection|mask-generation|keypoint).*"), "Image"),
    (re.compile(r".*(?:audio|speech|voice).*"), "Audio"),
    (re.compile(r"time-?series.*"), "Timeseries"),
    (re.compile(r"tabular.*"), "Tabular"),
    (re.compile(r"document.*"), "Document"),
    (
        re.compile(
            r".*(?:text|translation|summarization|question-answering|conversational|fill-mask|sentence|token"
            r"|multiple-choice|feature-extraction|zero-shot).*"
        ),
        "Text",
    ),
)


def modality_label(modalities: Sequence[str], task_categories: Sequence[str] = ()) -> str:
    """Label modalities: the first, for display; else what the first task works on; else "Other"."""
    label = _first(modalities, "modality:")
    if label != OTHER:
        return label
    for task in task_categories[:1]:
        for pattern, modality in _TASK_MODALITIES:
            if isinstance(task, str) and pattern.fullmatch(task.strip().lower()):
                return modality
    return OTHER


def _first(tags: Sequence[str], prefix: str) -> str:
    for tag in tags:
        if isinstance(tag, str) and (plain := tag.strip().removeprefix(prefix).strip()):
            return display(plain[:80].lower())
    return OTHER
