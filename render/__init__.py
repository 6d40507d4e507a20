"""The synchronous passes over the store: layout, topics, page."""
