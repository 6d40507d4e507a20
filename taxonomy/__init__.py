"""The fields that hfmap fills for every dataset: definitions, prompts, validation, display buckets, keyless rules."""
