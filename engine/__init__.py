"""hfmap's engine: sources, providers, the SQLite store, the pipeline that joins them, and the command line."""
