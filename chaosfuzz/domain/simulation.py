"""The protocols of a system that runs in logical time instead of real time."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.schedule import Step


class Clock(Protocol):
    """The time by which the run loop waits."""

    def now_ns(self) -> int:
        """Return the time in ns, comparable with the times in the system's executions."""
        ...

    def pause(self, at_most_ns: int) -> None:
        """Let time pass until the system may have changed, but no longer than `at_most_ns`."""
        ...


@runtime_checkable
class Simulated(Protocol):
    """A system in logical time: the loop waits by its clock and takes its judgements."""

    @property
    def clock(self) -> Clock:
        """The system's own time."""
        ...

    def announce(self, step: Step | None) -> None:
        """Take note of the step that the loop is about to do; None: it heals every fault."""
        ...

    def judge_itself(self, step: int | None, *, final: bool) -> Judgement:
        """Return the broken promises so far.

        `step` is the index of the current step, None after the last. `final` is true once, after
        every fault is healed and the system had time to finish its work.
        """
        ...

    def story(self) -> Sequence[str]:
        """Return what happened, one line an event, with logical times."""
        ...
