"""Questions to the database: a connection in, frozen dataclasses out."""
