"""Every error that hfmap expects, with the exit code it ends a command with.

HfmapError                     1   a sentence, and a next step
  UsageError                   2   flags or settings that do not make sense
  StoreError                   1   the database cannot be used
    DatabaseTooNewError
    DatabaseBusyError
  SourceError                  1   the list of datasets, or a file of cards, cannot be read
  ProviderError                1   a service that enriches cards
    TransientError                 worth trying again (429, 5xx, time-outs, broken connections)
      UnansweredError                after the question was sent: it may be charged for all the same
    UnsureError                    whether a batch was taken is not known
    KeyRefusedError            5   the key is missing, wrong or has no access
    QuotaError                 5   the account has no credit left
    ServiceDownError               failed so often in a row that it is left alone
    RejectedError                  the request itself is refused (400, 413, 422); other requests may pass
    BadAnswerError                 the answer cannot be used
    RefusedError                   the model declined; the same card will be declined again
  PassError                    1   layout, topics or page
  StoppedError               130   the user wants the run to end
  BudgetReachedError           4   the next call might exceed --budget
"""

from __future__ import annotations

from typing import ClassVar

from engine.usage import Usage

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PARTIAL = 3
EXIT_BUDGET = 4
EXIT_KEY = 5
EXIT_INTERRUPTED = 130


class HfmapError(Exception):
    """An expected error: `str(error)` is a sentence for a person, `hint` is what to do next."""

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(HfmapError):
    """Flags or settings that do not make sense."""

    exit_code = EXIT_USAGE


class StoreError(HfmapError):
    """The database cannot be used."""


class DatabaseTooNewError(StoreError):
    """The database was written by a later hfmap."""


class DatabaseBusyError(StoreError):
    """Another process writes to the database."""


class SourceError(HfmapError):
    """The list of datasets, or a file of cards, cannot be read."""


class ProviderError(HfmapError):
    """A service that enriches cards could not do it.

    `usage` is what the call cost all the same, `attempts` how often it was tried.
    """

    def __init__(self, message: str, *, hint: str | None = None, usage: Usage | None = None) -> None:
        super().__init__(message, hint=hint)
        self.usage = usage
        self.attempts = 1


class TransientError(ProviderError):
    """A failure that trying again may mend.

    `retry_after` is the service's own wish in seconds, if it named one; `limited` tells a rate limit
    (429, 529) from a fault; `closed`, that no other call will be let through before that time either;
    `unreached`, that there was no connection, so that the fault is no single question's.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after: float | None = None, limited: bool = False,
        closed: bool = False, unreached: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.limited = limited
        self.closed = closed
        self.unreached = unreached


class UnansweredError(TransientError):
    """The connection broke, or time ran out, after the question was sent: the service may charge for it all the same.

    A budget counts the most that such a call can have cost.
    """


class UnsureError(ProviderError):
    """The connection broke, or the service stumbled, while a batch was sent: it may exist all the same."""


class KeyRefusedError(ProviderError):
    """The key is missing, wrong or has no access."""

    exit_code = EXIT_KEY


class QuotaError(ProviderError):
    """The account has no credit left."""

    exit_code = EXIT_KEY


class ServiceDownError(ProviderError):
    """A service has failed so often in a row that it is not called any more in this run."""


class RejectedError(ProviderError):
    """The request itself is refused, by the service or by its client: the same one will be refused again."""


class BadAnswerError(ProviderError):
    """The answer cannot be used: not what was asked for, or damaged."""


class RefusedError(ProviderError):
    """The model declined to answer; the same card will be declined again."""


class PassError(HfmapError):
    """Layout, topics or page could not be made."""


class StoppedError(HfmapError):
    """The user wants the run to end: nothing new is begun."""

    exit_code = EXIT_INTERRUPTED


class BudgetReachedError(HfmapError):
    """The next call might exceed the budget."""

    exit_code = EXIT_BUDGET


CONCERNS_ALL = (BudgetReachedError, KeyRefusedError, QuotaError, ServiceDownError, StoppedError)
"""Errors after which there is no point in trying the next item of the same stage."""
