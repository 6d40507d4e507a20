"""The command line. Importing this package costs nothing; each command is loaded when it is called."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `hfmap` with `arguments` (default: those of the process), and exit with its code."""
    from engine.cli.app import hfmap

    hfmap.main(args=None if arguments is None else list(arguments), prog_name="hfmap")
