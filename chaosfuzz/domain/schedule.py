"""Steps and schedules: the values that case files hold and reduction edits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from chaosfuzz.domain.action import MAX_WORKERS, ActionKind
from chaosfuzz.domain.component import ComponentRole
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import CLIENT, Moment


@dataclass(frozen=True, kw_only=True)
class Step:
    """One action with its arguments; arguments left out have their defaults.

    With a moment (`at`) the step strikes then, instead of after the step before it. Make a step by
    calling the action, or with `chaosfuzz.actions.make_step`.
    """

    kind: ActionKind
    arguments: tuple[tuple[str, int], ...] = ()
    at: Moment | None = None

    @classmethod
    def of(cls, kind: ActionKind, **arguments: int) -> "Step":
        """Return a checked step in canonical form: parameter order, defaults left out.

        Raises UsageError for an unknown argument, or a value out of range.
        """
        for key in arguments:
            kind.parameter(key)
        values = (
            (p, p.check(arguments.get(p.name, p.default), kind.name)) for p in kind.parameters
        )
        canonical = tuple((p.name, v) for p, v in values if v != p.default or p.always_shown)
        return cls(kind=kind, arguments=canonical)

    @property
    def action(self) -> str:
        """The name of the action, as a case file has it."""
        return self.kind.name

    @property
    def created(self) -> int:
        """How many tasks the step asks for."""
        return self[self.kind.creates] if self.kind.creates else 0

    def __getitem__(self, name: str) -> int:
        """Return an argument, or its default; raise UsageError for an unknown name."""
        for key, value in self.arguments:
            if key == name:
                return value
        return self.kind.parameter(name).default

    def get(self, name: str) -> int | None:
        """Return an argument, or its default; None if the action has no such parameter."""
        return self[name] if self.kind.takes(name) else None

    def having(self, **changes: int) -> "Step":
        """Return the step with these arguments changed, checked as by `of`."""
        merged = dict(self.arguments) | changes
        return Step.of(self.kind, **merged).pinned(self.at)

    def pinned(self, moment: Moment | None) -> "Step":
        """Return the step with this moment; None: without one.

        Raises UsageError if the action needs a moment, takes none, or cannot strike at this one.
        """
        kind = self.kind
        if moment is not None and not kind.pinnable:
            raise UsageError(cause=f"{self.action} cannot strike at a moment", remedy="remove `at`")
        if moment is None and kind.needs_moment:
            raise UsageError(
                cause=f"{self.action} strikes only in a request",
                remedy="name the request with `at`",
            )
        if moment is not None and kind.side not in {None, moment.side}:
            message = f"{self.action} strikes {kind.side} a request, not {moment.side} it"
            raise UsageError(cause=message, remedy=f"write `{kind.side}:`")
        of_client = kind.strikes is ComponentRole.CLIENT
        if moment is not None and of_client and moment.component not in {"", CLIENT}:
            message = f"{self.action} strikes {CLIENT}, not {moment.component}"
            raise UsageError(cause=message, remedy="remove `on`")
        return replace(self, at=moment)

    def __str__(self) -> str:
        """Show the step as a person would write it."""
        shown = ", ".join(
            f"{name}={self.kind.parameter(name).show(value)}" for name, value in self.arguments
        )
        return f"{self.action}({shown})" + (f" {self.at}" if self.at is not None else "")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Steps in order, for a system that starts with `workers` workers.

    Steps name tasks by number, from 1 in order of creation.
    """

    workers: int
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        """Raise UsageError for a number of workers that no target runs."""
        if not 0 <= self.workers <= MAX_WORKERS:
            raise UsageError(
                cause=f"workers={self.workers} is out of range", remedy=f"use 0 to {MAX_WORKERS}"
            )

    def prefix(self, length: int) -> "Schedule":
        """Return the schedule with its first `length` steps."""
        return replace(self, steps=self.steps[:length])

    def taking(self, arguments: Collection[str]) -> "Schedule":
        """Return the schedule whose creations have only their count and these arguments."""
        allowed = {*(step.kind.creates for step in self.steps), *arguments}
        steps = (
            replace(step, arguments=tuple(pair for pair in step.arguments if pair[0] in allowed))
            if step.kind.creates
            else step
            for step in self.steps
        )
        return replace(self, steps=tuple(steps))

    def edited(self, edits: Mapping[int, Step | None]) -> "Schedule":
        """Return the schedule with steps, by index, replaced or (None) removed.

        Tasks are numbered anew, and steps and moments that name one still name the same task. Those
        whose task is no longer created are removed.
        """
        renumbered: dict[int, int] = {}
        old_number = new_number = 0
        steps: list[Step] = []
        for index, original in enumerate(self.steps):
            step = edits.get(index, original)
            if original.kind.creates:
                old_count = original.created
                new_count = step.created if step is not None else 0
                for offset in range(min(old_count, new_count)):
                    renumbered[old_number + offset + 1] = new_number + offset + 1
                old_number += old_count
                new_number += new_count
            if step is None:
                continue
            task = step.get("task")
            if task is not None:
                target = renumbered.get(task)
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
