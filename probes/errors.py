"""Every error that fairprint raises on purpose, and the exit code that each one means.

FairprintError           3  something went wrong while a run was under way
├── UsageError           2  what was asked for cannot be done as asked; nothing was written
│   ├── ProbeFileError   2  a probe file says something that cannot be used
│   ├── SettingsError    2  the settings of a project say something that cannot be used
│   ├── CardError        2  a model card cannot be edited safely, or its metadata is not valid
│   ├── CommandError   127  a command to be metered is not found; 126 where it cannot be executed
│   └── ResumeError      2  a run cannot go on because something has changed since it began
├── ModelError           3  a model cannot be loaded, or has no head for the job
├── RefusalError         3  a backend was asked for something that it cannot answer
└── StoreError           3  the store cannot be read or written
"""

import difflib
from collections.abc import Iterable


class FairprintError(Exception):
    """Something went wrong while a run was under way.

    Attributes:
        message: what happened, in one sentence.
        hint: what to try, or None.
        exit_code: the exit code of the command line.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        # a message may quote what no terminal can print, such as half of a surrogate pair
        message = message.encode("utf-8", "backslashreplace").decode()
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(FairprintError):
    """What was asked for cannot be done as asked; nothing was written."""

    exit_code = 2


class ProbeFileError(UsageError):
    """A probe file says something that cannot be used.

    Attributes:
        file: the file's path as it was given.
        line: the line, counted from 1, or None where no line is to blame.
    """

    def __init__(self, message: str, *, file: str, line: int | None = None, hint: str | None = None) -> None:
        place = f"{file}:{line}" if line else file
        super().__init__(f"{place}: {message}", hint=hint)
        self.file = file
        self.line = line


class SettingsError(UsageError):
    """The settings of a project say something that cannot be used; ``file`` and ``line`` as of ``ProbeFileError``."""

    def __init__(self, message: str, *, file: str, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}", hint=hint)
        self.file = file
        self.line = line


class CardError(UsageError):
    """A model card cannot be edited safely, or its metadata is not valid; ``file`` and ``line`` as elsewhere."""

    def __init__(self, message: str, *, file: str, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}", hint=hint)
        self.file = file
        self.line = line


class CommandError(UsageError):
    """A command to be metered is not found (exit code 127), or cannot be executed (126), as a shell says it."""

    def __init__(self, message: str, *, exit_code: int = 127, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class ResumeError(UsageError):
    """A run cannot go on because something has changed since it began."""


class ModelError(FairprintError):
    """A model cannot be loaded, or has no head for the job."""


class RefusalError(FairprintError):
    """A backend was asked for something that it cannot answer."""


class StoreError(FairprintError):
    """The store cannot be read or written."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest known name, or an empty string.

    >>> nearest("gendered-ocupations", ["gendered-occupations", "he-was-very"])
    " Did you mean 'gendered-occupations'?"
    >>> nearest("zzz", ["gendered-occupations"])
    ''
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
