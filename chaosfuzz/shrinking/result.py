"""What reduction may cost, how far it is, and what comes out of it."""

from dataclasses import dataclass

from chaosfuzz.domain.case import Needed, Rate
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.verdict import Failure, Signature


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What reduction, confirmation included, may cost: runs of a schedule, and seconds.

    A fifth of it, 20 executions at most, is kept back to measure how often the result fails; where
    runs are slow, as much time as these take, half of it at most.
    """

    executions: int = 300
    time_s: float = 300.0


@dataclass(frozen=True, kw_only=True)
class ShrinkProgress:
    """How far reduction is: executions and seconds so far, and the steps that are left.

    `measuring` once it is only counted how often the smallest failing schedule fails.
    """

    executions: int
    steps: int
    taken_s: float
    measuring: bool


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """The smallest schedule known to fail this way, and how often it does.

    `rate` was measured after reduction; when the budget ran out or the user broke off
    (`exhausted`) it counts every run of `schedule` so far, 0 of n included. `calibration` is the
    rate of the schedule reduction began with. `needed` holds how often the failure showed without
    each step. `executions` were spent on reduction, `confirmations` on the measurements after it.
    `others` are failures of other signatures met on the way.
    """

    schedule: Schedule
    failure: Failure
    rate: Rate
    calibration: Rate
    needed: tuple[Needed, ...]
    executions: int
    confirmations: int
    exhausted: bool
    others: tuple[tuple[Signature, Schedule], ...] = ()
