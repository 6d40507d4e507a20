"""Words of names: those that name no subject, usual names of tasks and subjects, abbreviations, language families."""

from __future__ import annotations

from collections.abc import Iterable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = _words(
    """
    a about above across after again against all almost along already also although always am among an and
    another any anybody anyone anything are aren't around as at away be became because become becomes been before
    behind being below between both but by came can can't cannot come comes could couldn't did didn't do does
    doesn't doing don't done down during each either else enough especially etc even ever every everyone everything
    except few first for found from further get gets getting give given gives go goes going got had has hasn't
    have haven't having he her here hers herself him himself his how however i if in indeed instead into is isn't
    it it's its itself just keep kept know known last least less let like likely made mainly make makes making
    many may maybe me might more moreover most mostly much must my myself namely near nearly need needs neither
    never next no nobody none nor not nothing now of off often on once one ones only onto or other others otherwise
    our ours out over own part per perhaps please put quite rather really respectively said same say says second
    see seem seems seen several shall she should since so some somebody someone something sometimes still such take
    taken takes than that the their theirs them themselves then there therefore these they thing things this those
    though three through throughout thus to together too took toward towards two under until unless up upon us use
    used useful user-provided uses using usually various very via want wants was wasn't way ways we well went were
    what whatever when where whereas whether which while who whole whom whose why will with within without would
    yet you your yours ie eg i.e e.g vs et al can't won't
    available based called collected consist consisted consisting consists contain contained containing contains
    correspond corresponding corresponds create created creates creating described describes describing designed
    developed different extracted find following follows four five six seven eight nine ten include included
    includes including introduce introduced introduces looks obtained originally present presented presents
    provide provided provides providing proposed related released represent represented representing represents
    show shown shows similar specific taken total type types whose currently current additional additionally
    annotated associated built combined comprises composed comprising consider considered derived divided
    due effort enable ensure focus focused generated high higher important intended large larger largest long
    low main major multiple new novel number numbers possible previous publicly recent recently regarding
    separate set sets short simple single small standard state-of-the-art unique well-known widely would-be
    accessing accesses allow allowed allowing allows assigned choose choosing chosen composed composing
    custom decoded decoding denote denotes denoting desired downloaded downloading enter exist existing exists
    explained explain identical identified identifier normalised normalized originate originates require required
    requires resampling sampled seperated separated specified specifies specify statmt supposed tab-seperated
    tab-separated underlying valid base wmt north-west
    """
)
"""No phrase contains one of these."""

EDGE_WORDS = _words(
    """
    abstract access account addition address aim amount annotation annotator answer-start appendix application
    approach arxiv author average baseline bellow benchmark bibtex bit byte card case category challenge character
    class code-name collection column com community competition config configuration content context contribution
    copyright corpora corpus count csv curator data database dataset date datum default definition description
    detail dev developer development dictionary directory doi domain download email end entry error evaluate
    evaluating evaluation example experiment feature field file folder form format free full github goal group
    homepage html http https huggingface id idx index info information input instance int integer item json
    key kind label language leaderboard level license licence limitation line link list load loader main maintainer
    max mean measure member metadata method metric min mit model n/a name note null number object open option
    order original output overview page pair paper parquet part people percent percentage performance person
    point problem process project property proposal public publication purpose quality reader readme record
    reference release repo repository request research researcher resource result row sample schema scheme
    score script section sequence series set shared site size source split start statistic step string structure
    subset summary support system table tag task team template term test testing text time title token tool top
    total track train training turn type unit university unknown update url usage user v validation value variable
    version website word work workshop www year zip true false na none main-page conference proceeding association
    arabic-numeral bool boolean float float32 float64 int32 int64 nan dict str tuple utf utf-8 viewer hub apache
    creative common kaggle google facebook microsoft amazon stanford acl emnlp naacl neurips semeval wikimedia
    january february march april may june july august september october november december english
    monolingual multilingual supported accuracy f1 bleu rouge f-score f1-score exact best better ready raw
    billion trillion million thousand hundred filter commercial non-commercial correct incorrect wrong
    individual overall official manual manually automatic automatically corresponding certain initial final
    """
)
"""No phrase begins or ends with one of these (in the singular), though it may hold one in its middle."""

WEAK_WORDS = _words(
    """
    agentic agreement analysis answer article clean customer distilled instruct post prompt reasoning response
    snapshot solution student teacher arabic bengali chinese czech danish dutch finnish french german greek hebrew hindi
    indonesian italian japanese korean norwegian persian polish portuguese romanian russian spanish swedish tamil thai
    turkish ukrainian urdu vietnamese answering area aspect average-case base basic behavior book choice classification
    claim cluster comment comparison complex component concept condition control conversation country course
    creation crowd crowdsourced culture day degree design detection direct direction discovery discussion
    document effect element environment evidence expert explanation expression extraction fact factor
    frame function generation global ground history human idea identification image inference international
    issue keyword knowledge learning length local location machine main map mark match matching material
    meaning medium mention modeling module national native natural neural news object online pattern period phrase
    piece place platform position prediction presence program question range rate rating real reason recognition
    region relation representation response retrieval rule science scientific selection sentence service
    setting sign situation social space speaker speech stage state statement story string-matching
    study style subject symbol target technique technology thread topic topical transcript translation tree
    understanding variety video view vocabulary voice web work world worker writer
    """
)
"""None of these is a name by itself; in a phrase of two or three words they are welcome."""

GENERIC_TASKS = {
    ("text", "classification"): 0.5,
    ("text", "generation"): 0.5,
    ("text2text", "generation"): 0.5,
    ("token", "classification"): 0.1,
    ("fill", "mask"): 0.5,
    ("multi", "class", "classification"): 0.3,
    ("multi", "label", "classification"): 0.3,
    ("text", "retrieval"): 0.5,
    ("feature", "extraction"): 0.3,
    ("text", "scoring"): 0.2,
    ("other",): 0.0,
}
"""Tasks, as they are counted, that say how data is shaped rather than what it is about, and how fit they are as names."""

SHAPELESS = frozenset(
    {
        ("multi", "domain"),
        ("translated",),
        ("other",),
        ("question", "answer"),
        ("instruction", "response"),
        ("prompt", "response"),
        ("prompt", "completion"),
        ("premise", "hypothesi"),
        ("premise", "hypothesis"),
        ("fine", "tuning"),
        ("supervised", "fine", "tuning"),
        ("data", "science"),
    }
)
"""Subjects, tasks and phrases, as they are counted, that tell readers of a map nothing."""

WIDEST = ("general", "web", "text")
"""The subject of all texts that have no other: seldom what sets a part of a topic apart."""

ADJECTIVES = {
    ("medical", "and", "biomedical"): "Medical",
    ("legal", "and", "policy"): "Legal",
    ("finance", "and", "business"): "Financial",
    ("math", "and", "reasoning"): "Math",
    ("code", "and", "software"): "Code",
    ("scientific", "research"): "Scientific",
    ("geospatial",): "Geospatial",
}
"""Subjects before a task."""

SUBJECT_NAMES = {
    ("general", "web", "text"): "Web Text",
    ("instruction", "and", "chat"): "Instructions and Chat",
    ("natural", "image", "and", "video"): "Images and Video",
    ("medical", "and", "biomedical"): "Medicine and Biology",
    ("robotics", "and", "embodied"): "Robotics",
    ("agent", "and", "tool", "use"): "Agents and Tools",
    ("entertainment", "and", "gaming"): "Games and Entertainment",
    ("safety", "alignment"): "Safety and Toxicity",
    ("geospatial",): "Geospatial Data",
    ("rag", "evaluation"): "Retrieval and RAG",
    ("scientific", "research"): "Scientific Research",
    ("finance", "and", "business"): "Finance and Business",
    ("legal", "and", "policy"): "Law and Policy",
    ("generated", "media"): "Generated Media",
}
"""Names of subjects that differ from their slugs."""

SHORT_NAMES = {
    ("named", "entity", "recognition"): "Entity Recognition",
    ("natural", "language", "inference"): "NLI",
    ("question", "answering"): "QA",
    ("visual", "question", "answering"): "Visual QA",
    ("multi", "label", "classification"): "Multi-Label",
    ("translation",): "Translation",
    ("machine", "translation"): "Translation",
    ("sentiment", "classification"): "Sentiment",
    ("sentiment", "analysis"): "Sentiment",
    ("sentiment", "scoring"): "Sentiment",
    ("semantic", "similarity", "scoring"): "Similarity",
    ("semantic", "similarity"): "Similarity",
    ("automatic", "speech", "recognition"): "Speech",
    ("dialogue", "modeling"): "Dialogue",
    ("dialogue", "generation"): "Dialogue",
    ("conversational",): "Conversations",
    ("part", "of", "speech"): "POS Tagging",
    ("reading", "comprehension"): "Reading",
}
"""Names of tasks where two are to fit."""

TASK_NAMES = {
    ("automatic", "speech", "recognition"): "Speech Recognition",
    ("text2text", "generation"): "Text Generation",
    ("fill", "mask"): "Language Modeling",
    ("masked", "language", "modeling"): "Language Modeling",
    ("sentiment", "classification"): "Sentiment Analysis",
    ("sentiment", "scoring"): "Sentiment Analysis",
    ("translation",): "Machine Translation",
    ("summarization",): "Summarization",
    ("conversational",): "Conversations",
    ("natural", "language", "inference"): "Natural Language Inference",
    ("multi", "class", "classification"): "Text Classification",
    ("multi", "label", "classification"): "Multi-Label Classification",
    ("reinforcement", "learning"): "Reinforcement Learning",
    ("semantic", "similarity", "scoring"): "Semantic Similarity",
    ("sentence", "similarity"): "Sentence Similarity",
    ("multi", "input", "text", "classification"): "Text Pair Classification",
    ("text", "to", "image"): "Text-to-Image",
    ("text", "to", "video"): "Text-to-Video",
    ("text", "to", "speech"): "Text-to-Speech",
    ("image", "to", "text"): "Image Captioning",
    ("image", "text", "to", "text"): "Vision-Language",
    ("any", "to", "any"): "Multimodal",
    ("open", "domain", "qa"): "Open-Domain QA",
    ("closed", "domain", "qa"): "Closed-Domain QA",
    ("multiple", "choice", "qa"): "Multiple-Choice QA",
    ("multiple", "choice"): "Multiple-Choice QA",
    ("dialogue", "generation"): "Dialogue",
    ("video", "text", "to", "text"): "Video Understanding",
    ("audio", "text", "to", "text"): "Audio Understanding",
    ("data", "to", "text"): "Data-to-Text Generation",
    ("image", "to", "image"): "Image Editing",
    ("tabular", "classification"): "Tabular Data",
    ("tabular", "regression"): "Tabular Data",
    ("text", "ranking"): "Retrieval and Ranking",
    ("feature", "extraction"): "Embeddings",
    ("part", "of", "speech"): "Part-of-Speech Tagging",
    ("robotic",): "Robotics",
    ("robotics",): "Robotics",
}
"""Names of tasks that differ from their tags."""

UPPER_WORDS = {
    word.lower(): word
    for word in sorted(
        _words(
            """
            3D 2D AI API ASR CT DNA DPO EEG ECG GIS GPT GPU GUI HTML IoT JSON LaTeX LLM LLMs LiDAR MRI NER NLI NLP NSFW
            OCR PDF POS PII QA RAG RLHF RNA SFT SQL TTS UAV UI US VLM VQA COVID COVID-19 SPARQL JavaScript GitHub YouTube
            """
        )
    )
}
"""Words that are not written with one capital."""

LOWER_WORDS = frozenset(
    {"a", "an", "and", "as", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}
)
"""Words written small inside a name."""

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


def same(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether one phrase is the other with words abbreviated: "NER", "named entity recognition"."""
    a, b = spelled_out(a), spelled_out(b)
    if a == b:
        return True
    if len(a) > len(b):
        a, b = b, a
    initials = "".join(word[0] for word in b)
    return len(a) == 1 and len(b) > 1 and a[0] in (initials, "".join(w[0] for w in b if w not in _SMALL_WORDS))


def spelled_out(key: tuple[str, ...]) -> tuple[str, ...]:
    """A phrase without the abbreviations that are common in dataset cards."""
    return tuple(part for word in key for part in _ABBREVIATED.get(word, (word,)))


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
