"""Whether two phrases are one and the same, abbreviated: "NER" and "named entity recognition".

Phrases are compared as they are counted: words in lower case and in the singular.
"""

from __future__ import annotations


def same(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether one phrase is the other with words abbreviated: "NER", "named entity recognition"."""
    a, b = spelled_out(a), spelled_out(b)
    if a == b:
        return True
    if len(a) > len(b):
        a, b = b, a
    initials = "".join(word[0] for word in b)
    return len(a) == 1 and len(b) > 1 and a[0] in (initials, "".join(w[0] for w in b if w not in _SMALL_WORDS))


_SMALL_WORDS = frozenset({"of", "to", "the", "and", "in", "for"})
_ABBREVIATED = {
    "qa": ("question", "answering"),
    "ner": ("named", "entity", "recognition"),
    "nli": ("natural", "language", "inference"),
    "vqa": ("visual", "question", "answering"),
    "asr": ("automatic", "speech", "recognition"),
    "mt": ("machine", "translation"),
    "dialog": ("dialogue",),
    "conversational": ("dialogue",),
    "conversation": ("dialogue",),
}


def spelled_out(key: tuple[str, ...]) -> tuple[str, ...]:
    """A phrase without the abbreviations that are common in dataset cards."""
    return tuple(part for word in key for part in _ABBREVIATED.get(word, (word,)))
