"""What a step can be: the kind of action with its parameters, as files and reducers see it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.component import ComponentRole
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import Side

PRIORITIES = ("low", "normal", "high", "critical")
RETRY_STRATEGIES = ("exponential", "linear", "fixed", "none")
USERS = ("first", "second")
# The types behave alike; each has a circuit breaker of its own.
TASK_TYPES = ("probe", "probe_b", "probe_c")
STOP_MODES = ("fast", "immediate", "kill")
# Chosen by hand: enough for the races of two workers beside three that are broken.
MAX_WORKERS = 5


class Role(StrEnum):
    """What an action is for; planning weighs by it."""

    LOAD = "load"
    FAULT = "fault"
    HEAL = "heal"
    WAIT = "wait"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One integer argument of an action.

    With `labels` the integer is an index, and files show the label. `drawn` are the values that
    planning draws from, repeated by weight; empty, it draws the default. `always_shown` arguments
    stand in files even at their default, and their plainest value is the lowest; that of others is
    the default. `costly` arguments make a run take longer. A `slot` names a worker.
    """

    name: str
    low: int
    high: int
    default: int
    meaning: str
    labels: tuple[str, ...] = ()
    drawn: tuple[int, ...] = ()
    always_shown: bool = False
    costly: bool = False
    slot: bool = False

    @property
    def plainest(self) -> int:
        """The value that a reducer tries first."""
        return self.low if self.always_shown else self.default

    def check(self, value: int, action: str) -> int:
        """Return the value, or raise UsageError when it is out of range."""
        if not self.low <= value <= self.high:
            raise UsageError(
                cause=f"{action}: {self.name}={value} is out of range",
                remedy=f"use {self.low} to {self.high} ({self.meaning})",
            )
        return value

    def show(self, value: int) -> int | str:
        """Return what a file shows for the value."""
        return self.labels[value] if self.labels else value

    def read(self, shown: object, action: str) -> int:
        """Return the integer for what a file holds; raise UsageError if it holds something else."""
        if self.labels:
            if shown in self.labels:
                return self.labels.index(str(shown))
            message = f"{action}: {self.name}={shown!r} is unknown"
            raise UsageError(cause=message, remedy=f"use {', '.join(self.labels)}")
        if isinstance(shown, bool) or not isinstance(shown, int):
            raise UsageError(
                cause=f"{action}: {self.name}={shown!r} is not a whole number",
                remedy=f"write a whole number from {self.low} to {self.high} ({self.meaning})",
            )
        return self.check(shown, action)


class ActionKind:
    """One kind of step: what case files, reports and reducers need to know of it.

    `abilities` are what a target must have to offer it. `strikes` is the role of the component
    that the action acts on, None if it acts on none or on several. `heals` names the faults that
    it ends. `creates` names the parameter that says how many tasks it creates. An action that
    `needs_moment` strikes only in a request, on `side` of it if that is given. One that is
    `pinnable` may strike at a moment.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    role: ClassVar[Role]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    abilities: ClassVar[frozenset[Ability]] = frozenset()
    strikes: ClassVar[ComponentRole | None] = None
    heals: ClassVar[tuple[str, ...]] = ()
    creates: ClassVar[str] = ""
    needs_moment: ClassVar[bool] = False
    side: ClassVar[Side | None] = None

    @property
    def pinnable(self) -> bool:
        """Whether it can strike at a moment: faults can."""
        return self.role is Role.FAULT

    def parameter(self, name: str) -> Parameter:
        """Return a parameter by name; raise UsageError if the action has none of that name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        known = ", ".join(p.name for p in self.parameters) or "none"
        raise UsageError(
            cause=f"{self.name}: unknown argument {name!r}", remedy=f"choose among: {known}"
        )

    def takes(self, name: str) -> bool:
        """Say whether it has a parameter of that name."""
        return any(parameter.name == name for parameter in self.parameters)

    def __repr__(self) -> str:
        """Show the name."""
        return self.name
