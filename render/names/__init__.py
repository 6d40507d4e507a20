"""Names of topics: by a model, or from key phrases."""
