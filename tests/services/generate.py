"""Made-up datasets: as many as wanted, varied, clustered by subject, and the same every time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import yaml

from tests.services.domains import DOMAINS, LANGUAGES, LICENSES, MAKINGS, ORGS, SIZES, Domain
from tests.services.hub_state import DatasetState

BAD_FRONT_MATTER = (
    "---\nlicense: [mit\ntags: {\n---\n",
    "---\nlanguage: no\nsize_categories: 12\ntask_categories: true\npretty_name: [a, b]\n---\n",
    "---\n- just\n- a list\n---\n",
    "---\nlicense: mit\nlanguage:\n\t- en\n---\n",
    "---\nlicense: mit\n",
    "\ufeff---\r\nlicense: mit\r\npretty_name: 5\r\ntags: word\r\n---\r\n",
)
_SENTENCES = (
    "The {a} and {b} were gathered together with their {c}, so that {d} can be studied side by side.",
    "Each record holds the {a}, the {b} it belongs to, and a field for {c}.",
    "We removed duplicates by {a} and kept only {b} with complete {c}.",
    "Models trained on these {a} improve on {b} when {c} and {d} are scarce.",
    "The test split covers {a} that share no {b} with the training split.",
    "Most {a} come with {b}; a smaller part has {c} and {d} as well.",
    "A second pass compared {a} against {b} and dropped whatever had no {c}.",
    "Typical uses are {a}, {b} and the study of {c}.",
)


def generated_cards(
    n: int,
    seed: int = 0,
    *,
    short: float = 0.0,
    missing: float = 0.0,
    gated: float = 0.0,
    private: float = 0.0,
    disabled: float = 0.0,
    bad_yaml: float = 0.0,
) -> list[DatasetState]:
    """`n` datasets, the most liked first; no two have the same likes.

    The first dataset of 20 and of 2,000 with one seed is the same but for its likes and dates. Every card
    names its repository in its first sentence, by which the doubles' log tells whose text a request carries.

    Args:
        n: how many.
        seed: another seed gives other datasets.
        short: share whose card has fewer than 200 characters after its front matter.
        missing: share without a README.md.
        gated: share that is gated.
        private: share that is private.
        disabled: share that is disabled.
        bad_yaml: share whose front matter is broken or of wrong types.
    """
    states = []
    for index in range(n):
        state = _dataset(index, seed)
        state.likes = 2 * (n - index) + int(20_000 / (index + 1) ** 0.7)
        _spoil(
            state,
            Random(f"flaw {seed} {index}").random(),
            Random(f"which {seed} {index}"),
            {
                "short": short,
                "missing": missing,
                "gated": gated,
                "private": private,
                "disabled": disabled,
                "bad_yaml": bad_yaml,
            },
        )
        states.append(state)
    return states


def card_text(repo_id: str, domain: Domain, rng: Random, *, metadata: dict[str, Any]) -> str:
    """A card of 300 to 3,000 characters with front matter."""
    title = str(metadata["pretty_name"])
    body = [f"# {title}\n", f"{repo_id} is about {rng.choice(domain.words)} and {rng.choice(domain.words)}."]
    body.append(rng.choice(MAKINGS))
    length = rng.choice((400, 700, 1000, 1500, 2200, 2900)) - rng.randrange(90)
    while sum(map(len, body)) + len(body) < length:
        if rng.random() < 0.12:
            body.append(f"\n\n## {rng.choice(('Contents', 'Splits', 'Collection', 'Notes', 'Evaluation'))}\n")
        words = rng.sample(domain.words, 4)
        body.append(rng.choice(_SENTENCES).format(a=words[0], b=words[1], c=words[2], d=words[3]))
    front = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + " ".join(body).replace(" \n", "\n").replace("\n ", "\n") + "\n"


def _dataset(index: int, seed: int) -> DatasetState:
    rng = Random(f"dataset {seed} {index}")
    domain = DOMAINS[rng.randrange(len(DOMAINS))]
    name = f"{rng.choice(domain.names)}-{rng.choice(domain.words)}-{index}"
    repo_id = f"{rng.choice(ORGS)}/{name}"
    tasks = list(domain.tasks[: rng.randint(1, len(domain.tasks))])
    languages = sorted(rng.sample(sorted(set(LANGUAGES)), 3)) if rng.random() < 0.1 else [rng.choice(LANGUAGES)]
    metadata: dict[str, Any] = {
        "pretty_name": name.replace("-", " ").title(),
        "license": rng.choice(LICENSES),
        "language": languages,
        "task_categories": tasks,
        "size_categories": [rng.choice(SIZES)],
        "tags": [domain.modality, rng.choice(domain.words)],
    }
    tags = [
        *(f"task_categories:{task}" for task in tasks),
        *(f"language:{language}" for language in languages),
        f"license:{metadata['license']}",
        f"size_categories:{metadata['size_categories'][0]}",
        f"modality:{domain.modality}",
        "library:datasets",
        "region:us",
    ]
    created = datetime(2022, 3, 3, tzinfo=UTC) + timedelta(hours=rng.randrange(30_000))
    changed = created + timedelta(hours=rng.randrange(10_000))
    downloads = rng.randrange(50, 500_000)
    card = card_text(repo_id, domain, rng, metadata=metadata)
    return DatasetState(
        id=repo_id,
        card=card.encode(),
        downloads=downloads,
        downloads_all_time=downloads * rng.randint(2, 30),
        trending_score=rng.randrange(60),
        tags=tags,
        card_data=metadata,
        description=f"{metadata['pretty_name']}: {domain.slug}",
        created_at=_time(created),
        last_modified=_time(changed),
    )


def _spoil(state: DatasetState, point: float, rng: Random, shares: dict[str, float]) -> None:
    """Give the dataset the flaw in whose share the point falls, if any."""
    for flaw, share in shares.items():
        if point >= share:
            point -= share
            continue
        if flaw == "short":
            state.card = f"---\nlicense: mit\n---\n{' ' * 400}\n# {state.id}\n\nSoon.\n".encode()
        elif flaw == "missing":
            state.card = None
        elif flaw == "gated":
            state.gated = rng.choice(("auto", "manual"))
        elif flaw == "bad_yaml":
            front = rng.choice(BAD_FRONT_MATTER)
            body = (state.card or b"").decode().split("\n---\n", 1)[1]
            state.card = (front + body).encode()
            state.card_data = None
        else:
            setattr(state, flaw, True)
        return


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
