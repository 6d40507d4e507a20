"""Keep everything in one SQLite file: connections, migrations, one writer, and a module for each group of tables."""
