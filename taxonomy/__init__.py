"""Taxonomy of datasets: fields, prompts, validation of answers, display buckets, and rules that need no model."""
