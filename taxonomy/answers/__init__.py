"""Answers of language models: JSON repair, validation of values, quotes located in the card, summaries."""
