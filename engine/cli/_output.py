"""The one way out: data to stdout, words to stderr, in three modes (human, json, quiet)."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.cli._text import json_text, plain
from engine.config import Secrets
from engine.config.secrets import HUB_KEY
from engine.errors import EXIT_FAILED, EXIT_INTERRUPTED, HfmapError
from engine.providers import key_variables

if TYPE_CHECKING:
    from rich.console import Console

Mode = Literal["human", "json", "quiet"]


class Output:
    """Where a command puts its data and its words.

    human: text; json: data as JSON, words still on stderr; quiet: data that was asked for, and errors,
    nothing else. A reader of stdout that goes away (`| head`) ends the output, not the work: see `alive`.
    """

    def __init__(self, mode: Mode = "human", *, redact: Callable[[str], str] | None = None) -> None:
        self.mode: Mode = mode
        self.redact = redact or _secrets_of_environment().redact
        self.alive = True
        self.final_page: Path | None = None
        self.suspend: Callable[[], AbstractContextManager[object]] = nullcontext
        """Takes a live display off the terminal while a question is asked; the display sets it."""
        self._console: Console | None = None
        for stream in (sys.stdout, sys.stderr):
            # Lone surrogates, or a terminal that is not UTF-8, must not stop a command.
            if hasattr(stream, "reconfigure"):
                # It flushes; what cannot be written (a full disk) is reported where it is written.
                with contextlib.suppress(OSError):
                    stream.reconfigure(errors="backslashreplace")

    @property
    def console(self) -> Console:
        """The one rich console, on stderr: the live display and all words share it."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(stderr=True, highlight=False, markup=False)
        return self._console

    @property
    def live(self) -> bool:
        """Whether stderr is a terminal that can show a moving display."""
        return self.mode == "human" and _is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to answer a question."""
        return self.mode == "human" and _is_terminal(sys.stdin) and _is_terminal(sys.stderr)

    def data(self, text: str) -> None:
        """Write a line to stdout (in quiet mode too: it is what was asked for).

        Raises:
            BrokenPipeError: nobody reads stdout any more; the caller has nothing left to do.
        """
        if sys.stdout is not None:
            sys.stdout.write(text + "\n")

    def json(self, value: Any, *, indent: int | None = None) -> None:
        """Write a JSON value to stdout, on one line unless `indent` is given.

        Raises:
            BrokenPipeError: as `data`.
        """
        self.data(json_text(value, indent=indent))

    def page(self, path: Path) -> None:
        """Remember the page that a run made; its path is the last thing said, on stdout."""
        self.final_page = path

    def stream_line(self, line: str) -> None:
        """Write and flush a line of a running command; once nobody reads it any more, do nothing."""
        if not self.alive or sys.stdout is None:
            return
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self.alive = False
            silence_stdout()

    def say(self, text: str) -> None:
        """Write words for a person to stderr, unless quiet."""
        if self.mode != "quiet":
            self._words(text)

    def warn(self, text: str) -> None:
        """Write a warning to stderr, unless quiet."""
        self.say(f"Warning: {text}")

    def error(self, message: str, hint: str | None = None) -> None:
        """Write an error, and what to do next, to stderr, in every mode."""
        self._words(f"hfmap: {message}")
        if hint:
            self._words(f"       {hint}")

    def error_line(self, text: str) -> None:
        """Write a line that belongs to an error, in every mode."""
        self._words(text)

    def fail(self, error: BaseException, *, debug: bool = False) -> int:
        """Say what went wrong; return the exit code."""
        said = say(error)
        if debug:
            self._raw(self.redact("".join(traceback.format_exception(error))))
        self.error(said.message, said.hint)
        return said.exit_code

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question on the terminal; nobody there, or no answer, means no."""
        if not self.interactive:
            return False
        with self.suspend():
            sys.stderr.write(f"{plain(self.redact(question))} [y/N] ")
            sys.stderr.flush()
            return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def _words(self, text: str) -> None:
        lines = (plain(line) for line in self.redact(text).split("\n"))
        self._raw("\n".join(lines) + "\n")

    def _raw(self, text: str) -> None:
        if sys.stderr is not None:
            # While a live display runs, rich stands in for sys.stderr and prints above it.
            with contextlib.suppress(BrokenPipeError):
                sys.stderr.write(text)
                sys.stderr.flush()


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """End quietly when the reader of stdout has gone, as in `hfmap sql … | head`."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()


def silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _secrets_of_environment() -> Secrets:
    # Lenient where load_secrets is strict: a malformed key must not be printed either.
    return Secrets({variable: os.environ.get(variable, "") for variable in (*key_variables(), HUB_KEY)})


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


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0][:200]
