"""The stages of a sync and how they are joined."""
