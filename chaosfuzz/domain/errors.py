"""Errors with a cause and a remedy. None is a verdict on a target."""

from collections.abc import Sequence
from typing import Self


class ChaosfuzzError(Exception):
    """Base of all errors that chaosfuzz raises on purpose.

    Arguments:
        cause: what happened, with the value, and why; the error's text.
        remedy: what the user can do about it. It is true, never empty, and never hides a broken
            promise. Tracebacks show it below the cause.

    """

    exit_code = 3

    def __init__(self, *, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.add_note(remedy)

    @property
    def text(self) -> str:
        """The cause, and on the next line the remedy."""
        return f"{self.cause}\n{self.remedy}"

    def at(self, place: object) -> Self:
        """Return the same error with the place (a file, say) before its cause."""
        return type(self)(cause=f"{place}: {self.cause}", remedy=self.remedy)


class UsageError(ChaosfuzzError):
    """An argument or a file is wrong, and the user can correct it (exit code 2)."""

    exit_code = 2


def joined(errors: Sequence[UsageError]) -> UsageError:
    """Return one error that tells all of these, each remedy indented below its cause."""
    if len(errors) == 1:
        return errors[0]
    told = (f"{error.cause}\n  {error.remedy}" for error in errors)
    return UsageError(cause="\n".join(told), remedy="correct each of these places")


class WrongValueError(ValueError):
    """A value that a validator of a file's model refuses, with the remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


class InfrastructureError(ChaosfuzzError):
    """The harness or its environment failed: neither pass nor fail (exit code 3)."""
