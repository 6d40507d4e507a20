"""Extraction and summaries without a language model: rules, a small linear model, and their data."""
