"""Rewrite the opening of a card's sentence: with what the records are, or with the dataset's name.

"OwlNet is a corpus of 900 calls" becomes "900 calls", "It was recorded in Norway" becomes "OwlNet was recorded in
Norway". A sentence that cannot open so is left alone or, where it says nothing by itself, given up.
"""

from __future__ import annotations

import re

from taxonomy.answers.summaries import trim_summary

_NOUN = r"(?:data ?sets?|corpus|corpora|benchmark|collection|database|treebank)"
_LEAD_IN = re.compile(
    r"(?:(?:in|with) this (?:paper|work|article|project|dataset|repository|release)|specifically|overall"
    r"|in particular|in (?:total|short|summary|addition)|to this end|therefore|thus|hence|as such|currently|moreover"
    r"|furthermore|additionally|finally|also|and|so|but|however),?\s+(?=\S)",
    re.IGNORECASE,
)
_SUBJECT = (
    r"(?:(?:the|our|this)\s+)?(?P<subject>(?:[^\s,;:.]+\s+){0,7}?[^\s,;:.]+)(?:\s+\([^()]{1,40}\))?,?\s+"
    rf"(?:{_NOUN},?\s+)?(?:\([^()]{{1,40}}\)\s*)?"
)
#: "NAME is a …" and "NAME contains …": the records come after.
_IS_A = re.compile(
    rf"^(?:it's|{_SUBJECT}(?:is|are|was))\s+(?:an?|the(?: first| largest)?)\s+(?:(?:new|novel|large|small)\s+)*",
    re.IGNORECASE,
)
_CONTAINS = re.compile(
    rf"^{_SUBJECT}(?:\(?v?\d[\d.]*\)?\s+)?(?:, [^,.;]{{3,60}}, )?(?:(?:is|are) (?:made up|composed|comprised) of"
    r"|consist(?:s|ed)? of|contain(?:s|ed)?|comprises?|comprised of|includes?"
    r"|provides?|offers?|covers?|comprise|presents?|has(?= (?:more|over|about|\d)))\s+(?=\S)",
    re.IGNORECASE,
)
_WE_MADE = re.compile(
    r"^we (?:also )?(?:have )?(?:publicly )?(?:collect|construct|creat|built|build|present|introduc|gather|crowdsourc"
    r"|develop|releas|provid|propos|compil|curat|assembl|offer|contribut)(?:ed|e|s)?\s+"
    r"(?:an?\s+|the first\s+)?(?:(?:new|novel|large|small)\s+)*",
    re.IGNORECASE,
)
_SET_OF = re.compile(
    r"^(?:an?\s+)?(?:(?:new|novel|large|small)\s+)*(?:data ?set|corpus|collection|benchmark|set)\s+(?:of|containing"
    r"|consisting of|composed of|made up of|that contains|which contains|with|comprising|comprised of)\s+(?:about\s+)?",
    re.IGNORECASE,
)
#: "contains 900 calls and is recorded …": without its subject the second verb has none.
_SECOND_VERB = re.compile(
    r"\b(?:and|but) (?:the (?:\S+ ){1,2}?)?(?:is|are|was|were|has|have|comes|can|contains?|consists?)\b"
)
_BEFORE_NUMBER = re.compile(r"^(?:an?|the|over|about|approximately|around)\s+(?=\d)", re.IGNORECASE)
_SHORTEST_REST = 5
_ITSELF = re.compile(rf"\b(?:it|this|{_NOUN})\b", re.IGNORECASE)
_NAME_LIKE = re.compile(r"[A-Z]\S*[A-Z]|\d")

_PRONOUN = re.compile(
    rf"^(?:it|(?:this|the|our|these|those)\s+(?:{_NOUN}|data|task|version|project)|this)\s+(?=[a-z])", re.IGNORECASE
)
_VERB = re.compile(
    r"(?:is|are|was|were|has|have|had|can|could|will|may|does|aims?|allows?|asks?|brings?|captures?|combines?|comes?"
    r"|covers|covering|evaluates?|extends?|focuse?s|follows|makes?|measures?|requires?|represents?|serves?|spans?"
    r"|supports?|targets?|tests|tracks|uses?|adds|consists?|builds|enables?|helps|tries|tackles|describes|contains"
    r"|includes|provides|comprises|offers|features|holds|presents)\b"
)
_MADE_BY = re.compile(
    r"(?:created|built|recorded|derived|gathered|collected|introduced|constructed|extracted|generated|compiled"
    r"|translated|taken|obtained|annotated|sampled|crawled|scraped|developed|produced|released|published|designed"
    r"|intended|based|formulated|available|composed|made|used|split|divided|drawn|assembled|labell?ed|adapted)\s+"
    r"(?:up\s+)?(?:by|using|from|with|in|as|for|to|at|on|via|through|of|during|over|into|and|out)\b"
)
_STATES = re.compile(r"(?:available|based|intended|designed|composed|formulated|used|split|divided|made up)\b")
#: Openings that lean on what stood before: a sentence that keeps one says little by itself.
_LEANS = re.compile(
    r"(?:it|its|they|their|them|these|those|this|such|he|she|we|our|i|you|your|each|some|any|for|in|to|as|at|by|from"
    r"|with|when|if|while|although|because|since|there|here|not|no|then|all|both|another|other|note|please|warning"
    r"|and|or|but|so|an? (?:example|instance|sample)|examples?|samples?|sizes?|existing|standard|most|many|more"
    r"|keep|remove|consider|see|check|refer|remember|make|let|visit|click|named|field)\b",
    re.IGNORECASE,
)
_MOST_NAME_WORDS = 6
#: "OwlNet is in English" is no summary.
_FEWEST_NAMED = 7


def rewritten(sentence: str, title: str = "") -> str | None:
    """Rewrite a sentence to begin where it says what the records are, trimmed to 25 words.

    Where the verb would come first, the title stands before it. None for a sentence that says too little alone.
    """
    bare = _LEAD_IN.sub("", sentence, count=1) if _LEAD_IN.match(sentence) else sentence
    line = trim_summary(_named(trim_summary(_named(_cut(bare, title), title)), title))
    name = _name(title)
    short = bool(name) and line.startswith(f"{name} ") and len(line.split()) < _FEWEST_NAMED
    return None if short or _LEANS.match(line) else line


def _cut(sentence: str, title: str) -> str:
    """Without "NAME is a", "NAME contains" or "We made" at its beginning; unchanged where little would be left."""
    match = _WE_MADE.match(sentence) or _IS_A.match(sentence) or _CONTAINS.match(sentence)
    if not match or len(sentence[match.end() :].split()) < _SHORTEST_REST:
        return sentence
    if _SECOND_VERB.search(sentence, match.end()):
        return sentence
    subject = match.groupdict().get("subject")
    if subject is not None and not _means_the_data(match.group(), subject, title):
        return sentence
    return _capital(_BEFORE_NUMBER.sub("", _SET_OF.sub("", sentence[match.end() :])))


def _means_the_data(opening: str, subject: str, title: str) -> bool:
    """Whether a subject is the dataset and not something in it: "Books are a source of …" is about books."""
    if _ITSELF.search(opening) or _NAME_LIKE.search(subject):
        return True
    words = {word.lower() for word in re.findall(r"\w{3,}", subject)}
    return not words.isdisjoint(re.findall(r"\w{3,}", title.lower()))


def _named(line: str, title: str) -> str:
    """The line with the title for a pronoun, or before a verb that has lost its subject."""
    name = _name(title)
    if not name:
        return line
    pronoun = _PRONOUN.match(line)
    rest = line[pronoun.end() :] if pronoun else line
    low = rest[:1].lower() + rest[1:]
    if _VERB.match(low):
        return f"{name} {low}"
    if _MADE_BY.match(low) and not pronoun:
        return f"{name} {'is' if _STATES.match(low) else 'was'} {low}"
    return line


def _name(title: str) -> str:
    """The title as a subject, empty where it is none."""
    name = " ".join(title.rsplit("/", 1)[-1].replace("_", " ").split()).strip(" .,:;-")
    fit = name[:1].isalnum() and len(name.split()) <= _MOST_NAME_WORDS and len(name) <= 60
    return name if fit and name.isprintable() and not re.search(r"[<>{}\[\]()|\\]", name) else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
