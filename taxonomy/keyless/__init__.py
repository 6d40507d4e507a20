"""Fields and summaries without a model: rules, a small linear model, and their data."""
