"""What went wrong, as a sentence, a next step and an exit code. Nobody but a developer sees a traceback."""

from __future__ import annotations

import errno
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.errors import EXIT_FAILED, EXIT_INTERRUPTED, HfmapError


@dataclass(frozen=True, slots=True)
class Said:
    """An exception for a person. `expected` is False where the fault is hfmap's own."""

    message: str
    hint: str | None
    exit_code: int
    expected: bool = True


def _hfmap(error: BaseException) -> Said:
    assert isinstance(error, HfmapError)  # noqa: S101 - the table below pairs it with its type
    return Said(str(error), error.hint, error.exit_code)


def _database(error: BaseException) -> Said:
    # The store turns its own errors into sentences; what is left came up while a query was read.
    text = str(error)
    if "locked" in text or "busy" in text:
        hint = "Another program writes to it; wait a moment and run the same command again."
        return Said("The database is locked.", hint, EXIT_FAILED)
    if "malformed" in text or "not a database" in text:
        return Said(f"The database is damaged: {text}.", "See what is left: hfmap doctor", EXIT_FAILED)
    return Said(f"The database says: {text}.", "Check it with: hfmap doctor", EXIT_FAILED)


def _system(error: BaseException) -> Said:
    assert isinstance(error, OSError)  # noqa: S101 - the table below pairs it with its type
    where = f"{error.filename}: " if error.filename else ""
    hint = "Free some space and run the same command again." if error.errno == errno.ENOSPC else None
    return Said(f"{where}{error.strerror or error}.", hint, EXIT_FAILED)


def _interrupt(_error: BaseException) -> Said:
    return Said("Interrupted.", "All that was done is kept; the same command goes on from here.", EXIT_INTERRUPTED)


def _memory(_error: BaseException) -> Said:
    return Said("There is not enough memory.", "Take fewer datasets: --target", EXIT_FAILED)


# Looked through from the top: the first type that fits speaks.
_TABLE: tuple[tuple[type[BaseException], Callable[[BaseException], Said]], ...] = (
    (HfmapError, _hfmap),
    (KeyboardInterrupt, _interrupt),
    (sqlite3.Error, _database),
    (MemoryError, _memory),
    (OSError, _system),
)


def say(error: BaseException) -> Said:
    """The sentence for `error`; of a group of errors, that of the first one that is expected."""
    leaves = list(_leaves(error))
    for kind, speak in _TABLE:
        for leaf in leaves:
            if isinstance(leaf, kind):
                return speak(leaf)
    return Said(
        f"Something went wrong inside hfmap ({type(leaves[0]).__name__}: {_first_line(leaves[0])}).",
        "It is a fault of hfmap: please report it, with what the same command with --debug, and `hfmap doctor`, print.",
        EXIT_FAILED,
        expected=False,
    )


def details(error: BaseException) -> str:
    """The traceback, for --debug."""
    return "".join(traceback.format_exception(error))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0][:200]
