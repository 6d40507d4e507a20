"""Answers of models: read, repaired, validated, and proved by quotes from the card."""
