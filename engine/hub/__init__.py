"""The Hugging Face Hub over HTTP: its listings, its cards, its quotas."""
