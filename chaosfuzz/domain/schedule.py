"""Steps and schedules: plain values that a case file can hold and a shrinker can edit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from chaosfuzz.domain.action import MAX_WORKERS, find_action
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import CLIENT, Moment


@dataclass(frozen=True, kw_only=True)
class Step:
    """One action with its arguments; arguments left out have their defaults.

    With a moment it strikes then, and not when its turn comes; see Moment.
    """

    action: str
    arguments: tuple[tuple[str, int], ...] = ()
    at: Moment | None = None

    def __getitem__(self, name: str) -> int:
        """Return an argument, or its default."""
        for key, value in self.arguments:
            if key == name:
                return value
        return find_action(self.action).parameter(name).default

    def having(self, **changes: int) -> "Step":
        """Return the step with these arguments changed."""
        merged = dict(self.arguments) | changes
        return make_step(self.action, **merged).pinned(self.at)

    def pinned(self, moment: Moment | None) -> "Step":
        """Return the step with this moment, or with none.

        Raises UsageError if the action cannot strike at a moment, not at this, or not without.
        """
        action = find_action(self.action)
        if moment is not None and not action.pinnable:
            message = f"{self.action}: it cannot strike at a moment; remove `at`"
            raise UsageError(message)
        if moment is None and action.needs_moment:
            message = f"{self.action}: it strikes in a request only; say which with `at`"
            raise UsageError(message)
        if moment is not None and action.side not in {None, moment.side}:
            message = f"{self.action}: it strikes {action.side} a request; write `{action.side}:`"
            raise UsageError(message)
        if moment is not None and action.strikes_client and moment.component not in {"", CLIENT}:
            message = f"{self.action}: it strikes {CLIENT}, not {moment.component}; remove `on`"
            raise UsageError(message)
        return replace(self, at=moment)

    def __str__(self) -> str:
        """Show the step as a person would write it."""
        action = find_action(self.action)
        shown = ", ".join(
            f"{name}={action.parameter(name).show(value)}" for name, value in self.arguments
        )
        return f"{self.action}({shown})" + (f" {self.at}" if self.at is not None else "")


def make_step(name: str, **arguments: int) -> Step:
    """Return a checked step in canonical form: parameter order, defaults left out.

    Raises UsageError for an unknown action or argument, or a value out of range.
    """
    action = find_action(name)
    for key in arguments:
        action.parameter(key)
    values = ((p, p.check(arguments.get(p.name, p.default), name)) for p in action.parameters)
    canonical = tuple(
        (p.name, value) for p, value in values if value != p.default or p.name in _ALWAYS_SHOWN
    )
    return Step(action=name, arguments=canonical)


MAX_SERIAL_SEED = 2**32 - 1
_ALWAYS_SHOWN = frozenset({"count", "worker", "workers", "task", "mode", "ms"})


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Steps in order, run with so many workers at the start. Tasks are numbered from 1.

    With `serial_seed` requests to the database go one at a time, in an order that follows from
    it; without, as they come.
    """

    workers: int
    steps: tuple[Step, ...]
    serial_seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse a number of workers that no target runs."""
        if not 0 <= self.workers <= MAX_WORKERS:
            message = f"workers={self.workers} is out of range; use 0 to {MAX_WORKERS}"
            raise UsageError(message)
        seed = self.serial_seed
        if seed is not None and not 0 <= seed <= MAX_SERIAL_SEED:
            message = f"serial_seed={seed} is out of range; use 0 to {MAX_SERIAL_SEED}"
            raise UsageError(message)

    def prefix(self, length: int) -> "Schedule":
        """Return the schedule cut off after so many steps."""
        return replace(self, steps=self.steps[:length])

    def taking(self, arguments: Collection[str]) -> "Schedule":
        """Return the schedule with creations that say no more than how many, and these."""
        kept = {"count", *arguments}
        steps = (
            replace(step, arguments=tuple(pair for pair in step.arguments if pair[0] in kept))
            if step.action == "create_tasks"
            else step
            for step in self.steps
        )
        return replace(self, steps=tuple(steps))

    def edited(self, edits: Mapping[int, Step | None]) -> "Schedule":
        """Return the schedule with steps replaced or (None) removed, references kept right.

        Steps that refer to a task that is no longer created are removed; the tasks that
        remain are numbered anew, so that each reference still means the same task.
        """
        renumbered: dict[int, int] = {}
        old_number = new_number = 0
        steps: list[Step] = []
        for index, original in enumerate(self.steps):
            step = edits.get(index, original) if index in edits else original
            if original.action == "create_tasks":
                old_count = original["count"]
                new_count = step["count"] if step is not None else 0
                for offset in range(min(old_count, new_count)):
                    renumbered[old_number + offset + 1] = new_number + offset + 1
                old_number += old_count
                new_number += new_count
            if step is None:
                continue
            if "task" in dict(step.arguments):
                target = renumbered.get(step["task"])
                if target is None:
                    continue
                step = step.having(task=target)
            if step.at is not None and step.at.task:
                target = renumbered.get(step.at.task)
                if target is None:
                    continue
                step = step.pinned(replace(step.at, task=target))
            steps.append(step)
        return replace(self, steps=tuple(steps))
