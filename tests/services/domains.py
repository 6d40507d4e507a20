"""What made-up datasets are about: per domain, words, tasks, modalities and the words of a name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Domain:
    """One subject. `words` give the cards of a domain their common vocabulary."""

    slug: str
    names: tuple[str, ...]
    tasks: tuple[str, ...]
    modality: str
    words: tuple[str, ...]
    stage: str


def _domain(slug: str, names: str, tasks: str, modality: str, stage: str, words: str) -> Domain:
    return Domain(slug, tuple(names.split()), tuple(tasks.split()), modality, tuple(words.split()), stage)


DOMAINS: tuple[Domain, ...] = (
    _domain(
        "general-web-text",
        "webcrawl commonpages cleanweb netcorpus",
        "text-generation fill-mask",
        "text",
        "pretraining",
        "crawl pages domains deduplication boilerplate extraction tokens perplexity filtering snapshot "
        "quality urls languages archive documents shards pretraining",
    ),
    _domain(
        "instruction-and-chat",
        "chatmix dialogs instruct turns",
        "text-generation question-answering",
        "text",
        "sft",
        "instruction conversation assistant response prompt turns dialogue chat user helpful alpaca "
        "sharegpt finetuning multi-turn messages roleplay",
    ),
    _domain(
        "code-and-software",
        "codebank commits stackbits snippets",
        "text-generation",
        "text",
        "pretraining",
        "code repositories functions commits python javascript compiler issues unit-tests snippets "
        "licences programming bugs refactoring completion docstrings",
    ),
    _domain(
        "math-and-reasoning",
        "mathsteps olympiad proofs arith",
        "question-answering text-generation",
        "text",
        "sft",
        "mathematics problems proofs reasoning algebra geometry theorem step-by-step solutions olympiad "
        "arithmetic equations answers verifier chain-of-thought",
    ),
    _domain(
        "scientific-research",
        "papers citegraph abstracts labnotes",
        "summarization text-classification",
        "text",
        "pretraining",
        "papers abstracts citations chemistry physics molecules proteins experiments journals authors "
        "full-text figures arxiv hypotheses measurements",
    ),
    _domain(
        "medical-and-biomedical",
        "clinicnotes radiq medqa pathslides",
        "question-answering image-classification",
        "text",
        "domain-finetune",
        "patients clinical radiology diagnosis hospital pubmed drugs symptoms pathology medical "
        "physicians reports biomedical treatment de-identified",
    ),
    _domain(
        "natural-images-and-video",
        "scenes wildshots frames objects",
        "image-classification object-detection",
        "image",
        "pretraining",
        "images photographs bounding-boxes segmentation objects captions video frames camera scenes "
        "classes pixels annotators resolution animals",
    ),
    _domain(
        "speech-and-audio",
        "voices readspeech podhours tones",
        "automatic-speech-recognition audio-classification",
        "audio",
        "domain-finetune",
        "speech audio recordings speakers transcripts hours microphone accents phonemes sampling-rate "
        "utterances music emotion noise kilohertz",
    ),
    _domain(
        "legal-and-policy",
        "statutes rulings contracts parliament",
        "text-classification summarization",
        "text",
        "domain-finetune",
        "court judgments legislation contracts clauses statutes parliament debates lawyers policy "
        "rulings treaties regulation precedent articles",
    ),
    _domain(
        "finance-and-business",
        "filings tickers earnings invoices",
        "text-classification tabular-classification",
        "tabular",
        "domain-finetune",
        "financial filings stock prices earnings sentiment banks transactions companies quarterly "
        "reports invoices market analysts revenue currency",
    ),
    _domain(
        "safety-alignment",
        "redteam prefpairs refusals toxicity",
        "text-classification text-generation",
        "text",
        "preference",
        "preference chosen rejected harmful adversarial jailbreak toxicity refusal safety alignment "
        "reward-model annotators red-team policy bias",
    ),
    _domain(
        "robotics-and-embodied",
        "grasps teleop navigation arms",
        "robotics reinforcement-learning",
        "video",
        "domain-finetune",
        "robot manipulation trajectories gripper episodes teleoperation joint actions camera policy "
        "simulator demonstrations wrist lidar navigation",
    ),
    _domain(
        "geospatial",
        "satellite landcover terrain roads",
        "image-segmentation image-classification",
        "image",
        "domain-finetune",
        "satellite imagery land-cover tiles sentinel coordinates maps terrain elevation crops flood "
        "latitude longitude roads multispectral",
    ),
    _domain(
        "agent-and-tool-use",
        "toolcalls webagent apitrace desktop",
        "text-generation",
        "text",
        "sft",
        "agents tools function-calling browser environment actions observations tasks api trajectories "
        "planning screenshots success clicks benchmark",
    ),
)
LANGUAGES = ("en", "en", "en", "en", "zh", "de", "fr", "es", "hi", "ar", "sw", "ja")
LICENSES = (
    "mit",
    "apache-2.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
    "cc0-1.0",
    "odc-by",
    "other",
    "openrail",
)
SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M")
ORGS = (
    "northlab", "openfield", "Quanta-AI", "datakitchen", "riverbank", "bluepine", "meridian-nlp", "Halcyon",
    "tinkerbox", "aurora-research", "commonfold", "Lumen_Labs",
)  # fmt: skip
MAKINGS = (
    "It was scraped from public websites and cleaned by a set of heuristics.",
    "Human annotators wrote and checked every record.",
    "The records were generated by Llama-3.1-70B and filtered by a judge model.",
    "It was machine translated from an English source and spot-checked by native speakers.",
    "It is a filtered subset of a larger public collection.",
    "Sensors recorded the data in the field over eighteen months.",
)
