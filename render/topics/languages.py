"""Families of languages, as regions of a map are called after them."""

from __future__ import annotations

from collections.abc import Iterable

_FAMILIES = {
    "African": "af am ha ig yo sw zu xh st tn ts ss nso nr ve rw rn so om ti wo ln lg sn ny bm ee tw ak mg ff ki kg"
    " afr amh hau ibo yor swa zul xho sot tsn tso ssw nbl ven kin orm tir wol lug sna nya",
    "South Asian": "hi bn ta te ml mr gu pa kn or as ur ne si sa sd ks kok mai bho hin ben tam tel mal mar guj pan kan"
    " ori asm urd nep sin",
    "Southeast Asian": "id ms th vi tl km lo my jv su ceb fil ind msa tha vie tgl khm lao mya jav sun",
    "East Asian": "zh ja ko yue zho jpn kor",
    "Turkic": "tr az kk ky uz tk tt ba ug tur aze kaz kir uzb",
    "Slavic": "ru uk be pl cs sk sl hr sr bs mk bg rus ukr bel pol ces slk slv hrv srp bos mkd bul",
    "Romance": "es fr it pt ro ca gl oc spa fra ita por ron cat glg",
    "Germanic": "de nl sv da no nb nn is fo deu nld swe dan nor isl",
    "Celtic": "ga cy br gd gle cym bre gla",
}
_MORE_EUROPEAN = "lv lt et fi hu el sq mt eu ga cy br gd lav lit est fin hun ell sqi mlt eus"
_EUROPEAN = ("Slavic", "Romance", "Germanic", "Celtic")

NON_ENGLISH = "Non-English"

FAMILY_OF: dict[str, frozenset[str]] = {}
"""The families of a language by its ISO 639 code; one in Europe is in "European" too."""
_EUROPE = " ".join([*(_FAMILIES[family] for family in _EUROPEAN), _MORE_EUROPEAN])
for _family, _codes in [*_FAMILIES.items(), ("European", _EUROPE)]:
    for _code in _codes.split():
        FAMILY_OF[_code] = FAMILY_OF.get(_code, frozenset()) | {_family}


def family_shares(codes: Iterable[str]) -> dict[str, float]:
    """Which share of some languages, English left out, is in each family; empty where no language is known.

    Languages without English count as `NON_ENGLISH` too.
    """
    given = set(codes)
    known = sorted(given & FAMILY_OF.keys())
    found: dict[str, float] = {}
    for code in known:
        for family in FAMILY_OF[code]:
            found[family] = found.get(family, 0.0) + 1 / len(known)
    if given and given.isdisjoint({"en", "eng"}):
        found[NON_ENGLISH] = 1.0
    return found
