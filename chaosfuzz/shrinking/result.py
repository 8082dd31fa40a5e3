"""The budget, the progress and the result of reduction."""

from dataclasses import dataclass

from chaosfuzz.domain.case import Needed, Rate
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.verdict import Failure, Signature


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most that reduction and confirmation may take: runs of a schedule, and seconds.

    A fifth of the executions, but at most 20, is a reserve for measuring how often the result
    fails, with the time that these take: at least a fifth of all time, at most half of it.
    """

    executions: int = 300
    time_s: float = 300.0


@dataclass(frozen=True, kw_only=True)
class ShrinkProgress:
    """Executions and seconds so far, and the number of steps of the best schedule.

    `measuring`: reduction is over, and the rate of the result is measured.
    """

    executions: int
    steps: int
    taken_s: float
    measuring: bool


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """The smallest schedule known to fail this way, and how often it does.

    - `rate`: measured after reduction. If the budget ran out or the user stopped it (`exhausted`),
      the rate of all runs of `schedule` so far, 0 of n included.
    - `calibration`: the rate of the schedule that reduction began with.
    - `needed`: how often the failure showed without each step.
    - `executions`, `confirmations`: runs for reduction, and for the measurements after it.
    - `others`: failures of other signatures that showed, each with a schedule.
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
