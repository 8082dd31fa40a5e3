"""Typed errors. Each names the value, the cause and the remedy; none is a verdict on a target."""


class ChaosfuzzError(Exception):
    """Base of all errors that chaosfuzz raises on purpose."""

    exit_code = 3


class UsageError(ChaosfuzzError):
    """A bad argument or file: the user can mend it (exit code 2)."""

    exit_code = 2


class InfrastructureError(ChaosfuzzError):
    """The harness or its environment failed: neither pass nor fail (exit code 3)."""
