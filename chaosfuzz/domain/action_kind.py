"""What an action is: its role, its parameters, and what it needs."""

from dataclasses import dataclass
from enum import StrEnum

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import Side


class Role(StrEnum):
    """What an action is for; planning weighs by it."""

    LOAD = "load"
    FAULT = "fault"
    HEAL = "heal"
    WAIT = "wait"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One integer argument; with labels, the integer is an index that files show as a word."""

    name: str
    low: int
    high: int
    default: int
    meaning: str
    labels: tuple[str, ...] = ()

    def check(self, value: int, action: str) -> int:
        """Return the value, or raise UsageError when it is out of range."""
        if not self.low <= value <= self.high:
            message = (
                f"{action}: {self.name}={value} is out of range; "
                f"use {self.low} to {self.high} ({self.meaning})"
            )
            raise UsageError(message)
        return value

    def show(self, value: int) -> int | str:
        """Return what a file shows for the value."""
        return self.labels[value] if self.labels else value

    def read(self, shown: object, action: str) -> int:
        """Return the integer for what a file holds; raise UsageError if it holds something else."""
        if self.labels:
            if shown in self.labels:
                return self.labels.index(str(shown))
            message = f"{action}: {self.name}={shown!r} is unknown; use {', '.join(self.labels)}"
            raise UsageError(message)
        if isinstance(shown, bool) or not isinstance(shown, int):
            message = f"{action}: {self.name}={shown!r} is not a whole number"
            raise UsageError(message)
        return self.check(shown, action)


@dataclass(frozen=True, kw_only=True)
class Action:
    """One kind of step. `heals` names the action whose effect it undoes.

    With `strikes_client` it strikes the client's own connection, in one of its HTTP requests;
    `side` is the only side of a moment on which it can strike, None if both will do. `ability` is
    what a target must be able to, beside what all can: containers and a kernel that does it.
    """

    name: str
    role: Role
    summary: str
    parameters: tuple[Parameter, ...] = ()
    heals: str | None = None
    needs_moment: bool = False
    strikes_client: bool = False
    side: Side | None = None
    ability: str = ""

    @property
    def pinnable(self) -> bool:
        """Say whether it can strike at a moment: faults can, and what releases a held request."""
        return self.role is Role.FAULT or self.name == "release_connection"

    def parameter(self, name: str) -> Parameter:
        """Return a parameter by name; raise UsageError if the action has none of that name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        known = ", ".join(p.name for p in self.parameters) or "none"
        message = f"{self.name}: unknown argument {name!r}; it takes: {known}"
        raise UsageError(message)
