"""The SQLite file: its schema, its migrations, one writer, typed reads."""
