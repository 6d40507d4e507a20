"""The Hugging Face Hub over HTTP: pages of its listings, single objects, cards, quotas."""
