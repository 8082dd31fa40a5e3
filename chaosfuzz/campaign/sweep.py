"""Runs one schedule for every moment of a task's life: kills and cuts on both sides, and holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.campaign.failures import as_failure
from chaosfuzz.campaign.lanes import Lanes
from chaosfuzz.campaign.learning import learn, lives, merged, save
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import Stopped, StopSignal
from chaosfuzz.domain.target import Runner, RunResult, TracingRunner
from chaosfuzz.domain.verdict import Signature, Verdict
from chaosfuzz.planning.enumeration import Point, points_of
from chaosfuzz.targets.registry import DEFAULT_TARGET

# Chosen by hand: so often is a failing point run again.
CONFIRMATIONS = 4
# A hold shows something only if another worker acts meanwhile: one run in five shows nothing, so
# three runs miss it with less than 1 %.
HELD_TRIES = 3
NEVER_CAME = "never came"
DOCUMENTED = "documented"


@dataclass(frozen=True, kw_only=True)
class Swept:
    """The result of a point: its first telling run, and how often that run's failure showed.

    A documented limit stands in `result` as its failure. A failure that another point has shown in
    all its runs is not run again; its rate is then 1 of the tries.
    """

    point: Point
    result: RunResult
    rate: Rate

    @property
    def verdict(self) -> str:
        """Return holds, violated, documented, unknown or never came."""
        if self.result.failure is not None and self.result.failure.documented:
            return DOCUMENTED
        if self.result.verdict is Verdict.HOLDS and self.result.missed:
            return NEVER_CAME
        return self.result.verdict.value


class Sweep:
    """One sweep, a context manager of its lanes; call `learn`, then iterate over `run`."""

    def __init__(
        self, setup: Setup, lanes: int, out: Path, journal: Journal, stop: StopSignal
    ) -> None:
        self._setup = setup
        self._lanes = Lanes(setup, lanes, out / "logs", journal, stop)
        self._out = out
        self._confirmed: set[tuple[Signature, bool]] = set()

    def __enter__(self) -> "Sweep":
        self._lanes.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._lanes.__exit__(kind)

    def learn(self) -> tuple[Point, ...]:
        """Run each life, and return a point without a fault for each life, then one per moment.

        A moment that several lives have is swept in the first of them. Writes alphabet.json.

        Raises:
            UsageError: the target has no moments.
            InfrastructureError: no request was seen in a task's life.

        """
        runner = self._lanes.first
        description = self._setup.description
        if not (description.moments and isinstance(runner, TracingRunner)):
            raise UsageError(
                cause=f"{self._setup.target} has no moments to sweep: its requests are not seen",
                remedy=f"sweep a target with moments, such as {DEFAULT_TARGET}",
            )
        every = lives(description)
        lease_ms = description.contract.lease_ms
        learned = list(learn(runner, description))
        save(merged([alphabet for _, alphabet in learned]), self._out)
        points = [
            Point(life=life, schedule=Schedule(workers=1, steps=(load,)))
            for life, load in every.items()
        ]
        struck: set[Step | None] = set()
        for life, alphabet in learned:
            foreground = [event for event in alphabet.events if not event.background]
            found = [point for e in foreground for point in points_of(life, e, lease_ms=lease_ms)]
            points += [p for p in found if p.step not in struck and self._offers(p)]
            struck |= {point.step for point in found}
        if not struck:
            raise InfrastructureError(
                cause="no request of a component to the database was seen in a task's life",
                remedy=(
                    "check with `chaosfuzz profile check` that the target runs a task and "
                    "connects where its profile says"
                ),
            )
        return tuple(points)

    def _offers(self, point: Point) -> bool:
        actions = self._setup.description.actions
        return all(step.action in actions for step in point.schedule.steps)

    def run(self, points: tuple[Point, ...]) -> Iterator[Swept]:
        """Run the points in the lanes, and yield their results in the order of `points`.

        Points that a stop interrupted are left out.
        """
        return filter(None, self._lanes.map(self._try, points))

    def _try(self, runner: Runner, point: Point) -> Swept | None:
        try:
            result = self._look(runner, point)
            tries = 1
            most = HELD_TRIES if point.is_held else 1
            while result.failure is None and result.verdict is Verdict.HOLDS and tries < most:
                later = self._look(runner, point)
                tries += 1
                if later.failure is not None or later.verdict is Verdict.UNKNOWN or result.missed:
                    result = later
            if result.failure is None:
                return Swept(point=point, result=result, rate=Rate(violations=0, attempts=tries))
            signature = result.failure.signature
            # A failure that showed in every run of one point is not counted at other points.
            identity = result.failure.identity
            runs = 0 if identity in self._confirmed else CONFIRMATIONS
            again = [as_failure(runner.run(point.schedule), signature).failure for _ in range(runs)]
        except Stopped:
            return None
        same = sum(f is not None and f.identity == identity for f in again)
        if runs and same == runs:
            self._confirmed.add(identity)
        rate = Rate(violations=1 + same, attempts=tries + len(again))
        return Swept(point=point, result=result, rate=rate)

    def _look(self, runner: Runner, point: Point) -> RunResult:
        """Run a point, once more if it was undecided or missed its moment without a failure.

        A documented limit becomes the failure of the result.
        """
        result = runner.run(point.schedule)
        if result.verdict is Verdict.UNKNOWN or (result.missed and result.failure is None):
            result = runner.run(point.schedule)
        if result.failure is None and result.limits:
            return as_failure(result, result.limits[0].signature)
        return result
