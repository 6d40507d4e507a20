"""What the listing and the card together say of a dataset, with the display buckets of the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.hub.entries import Entry
from engine.store.datasets import DatasetDescription
from taxonomy import buckets
from taxonomy.card import metadata, pretty_name


def describe(entry: Entry, declared: Mapping[str, Any]) -> DatasetDescription:
    """Merge an entry with what its card's front matter declares."""
    found = metadata(declared, entry.card_data, entry.tags)
    licenses = found.get("license", ())
    tasks = found.get("task_categories", ())
    return DatasetDescription(
        pretty_name=pretty_name(declared, entry.card_data),
        license=licenses[0] if licenses else None,
        metadata=found,
        license_family=buckets.license_family(licenses[0] if licenses else None),
        size_category=buckets.size_category(found.get("size_categories", ())),
        language=buckets.language_label(
            found.get("languages", ()),
            multilinguality=found.get("multilinguality", ()),
            task_categories=tasks,
        ),
        task_category=buckets.task_label(tasks),
        modality=buckets.modality_label(found.get("modalities", ()), tasks),
    )
