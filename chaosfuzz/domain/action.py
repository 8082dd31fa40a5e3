"""Actions and their parameters, as case files, reports and reducers see them."""

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
    """The purpose of an action. Planning draws no fault while enough faults are in force."""

    LOAD = "load"
    FAULT = "fault"
    HEAL = "heal"
    WAIT = "wait"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One integer argument of an action.

    - `labels`: the integer is an index into them, and files show the label.
    - `drawn`: values that planning draws from, repeated by weight; if empty, the default.
    - `always_shown`: files show the argument even at its default, and its plainest value is the
      lowest one. The plainest value of other arguments is the default.
    - `costly`: a larger value makes a run take longer.
    - `slot`: the argument is a worker's slot.
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

    @classmethod
    def choice(
        cls,
        name: str,
        meaning: str,
        labels: tuple[str, ...],
        *,
        default: int = 0,
        drawn: tuple[int, ...] = (),
        always_shown: bool = False,
    ) -> "Parameter":
        """Return a parameter whose values are the indices of labels."""
        return cls(
            name=name,
            low=0,
            high=len(labels) - 1,
            default=default,
            meaning=meaning,
            labels=labels,
            drawn=drawn,
            always_shown=always_shown,
        )

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
    """One kind of step.

    - `abilities`: a target offers the action if it has them all.
    - `strikes`: role of the component that the action acts on; None if it acts on none or several.
    - `heals`: names of the faults that it ends.
    - `creates`: name of the parameter with the number of tasks that it creates, if it creates any.
    - `needs_moment`: it strikes only in a request, and only on `side` of it if that is given.
    """

    name: ClassVar[str]
    role: ClassVar[Role]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    abilities: ClassVar[frozenset[Ability]] = frozenset()
    strikes: ClassVar[ComponentRole | None] = None
    heals: ClassVar[tuple[str, ...]] = ()
    creates: ClassVar[str] = ""
    needs_moment: ClassVar[bool] = False
    side: ClassVar[Side | None] = None

    @property
    def summary(self) -> str:
        """What lists show: the first line of the class's docstring, lower case, no period."""
        line = (type(self).__doc__ or "").strip().partition("\n")[0].rstrip(".")
        return line[:1].lower() + line[1:]

    @property
    def pinnable(self) -> bool:
        """Whether a step of the action can strike at a moment; by default faults can."""
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
        """Say whether the action has a parameter of that name."""
        return any(parameter.name == name for parameter in self.parameters)

    def __repr__(self) -> str:
        """Show the name."""
        return self.name
