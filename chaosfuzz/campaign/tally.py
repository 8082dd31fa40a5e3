"""Counts what a campaign did, from its events alone."""

from dataclasses import dataclass, field

from chaosfuzz.campaign.events import (
    CaseSaved,
    DocumentedLimitKnown,
    Event,
    FailureFound,
    ScheduleDone,
)
from chaosfuzz.domain.errors import ChaosfuzzError
from chaosfuzz.domain.verdict import Signature, Verdict
from chaosfuzz.reporting.summary import FailureSummary, Summary

# A summary describes so many excused executions in words, and counts all. Chosen by hand.
MAX_EXCUSES = 50

Identity = tuple[Signature, bool]


@dataclass(kw_only=True)
class Tally:
    """Running totals of a campaign. Pass each event to `observe`, then call `summary`.

    With `limits_fail` documented limits count as broken promises.
    """

    command: str
    target: str
    defects: tuple[str, ...]
    seed: int
    schedules: int = 0
    steps: int = 0
    faults: int = 0
    moments_came: int = 0
    moments_never_came: int = 0
    undecided: int = 0
    states: set[str] = field(default_factory=set)
    reasons: dict[str, None] = field(default_factory=dict)
    found: dict[Identity, FailureFound] = field(default_factory=dict)
    saved: dict[Identity, CaseSaved] = field(default_factory=dict)
    known: dict[Signature, DocumentedLimitKnown] = field(default_factory=dict)
    limits_fail: bool = False
    excused_runs: int = 0
    excuses: list[str] = field(default_factory=list)

    def observe(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, ScheduleDone):
            self.schedules += 1
            self.steps += event.result.steps_run
            self.faults += event.result.faults
            self.moments_came += event.result.moments
            self.moments_never_came += len(event.result.missed)
            self.states |= event.result.states_seen
            self.excused_runs += len(event.result.excused)
            left = MAX_EXCUSES - len(self.excuses)
            self.excuses += map(str, event.result.excused[:left])
            if event.result.verdict is Verdict.UNKNOWN:
                self.undecided += 1
                self.reasons.update(dict.fromkeys(event.result.undecided))
        elif isinstance(event, FailureFound):
            self.found[event.failure.identity] = event
        elif isinstance(event, DocumentedLimitKnown):
            self.known[event.failure.signature] = event
        elif isinstance(event, CaseSaved):
            self.saved[event.failure.identity] = event

    @property
    def broken(self) -> bool:
        """Say whether a promise was broken; documented limits count only with `limits_fail`."""
        limits = [f for f in self.found.values() if f.failure.documented]
        broken = len(limits) < len(self.found)
        return broken or (self.limits_fail and bool(limits or self.known))

    @property
    def verdict(self) -> Verdict:
        """Return the verdict if the harness did not fail; UNKNOWN if no schedule was run."""
        return self._verdict(failed=False)

    def _verdict(self, *, failed: bool) -> Verdict:
        undecided = bool(self.undecided) or not self.schedules
        return Verdict.conclude(violated=self.broken, failed=failed, undecided=undecided)

    def summary(self, duration_s: float, failed: ChaosfuzzError | None = None) -> Summary:
        """Return the summary of a campaign that took `duration_s` seconds.

        With `failed`, an error of the harness, the verdict is INFRASTRUCTURE unless a promise was
        broken, and the error's text becomes the message.
        """
        return Summary(
            command=self.command,
            target=self.target,
            defects=self.defects,
            verdict=self._verdict(failed=failed is not None),
            seed=self.seed,
            schedules=self.schedules,
            steps=self.steps,
            duration_s=duration_s,
            failures=self._failures(documented=False),
            limits=self._failures(documented=True) + tuple(map(_known_limit, self.known.values())),
            unknown_schedules=self.undecided,
            states_seen=len(self.states),
            faults=self.faults,
            moments_came=self.moments_came,
            moments_never_came=self.moments_never_came,
            excused_runs=self.excused_runs,
            excuses=tuple(self.excuses),
            message=failed.text if failed else "; ".join(self.reasons),
        )

    def _failures(self, *, documented: bool) -> tuple[FailureSummary, ...]:
        return tuple(
            _saved_failure(self.saved[identity])
            if identity in self.saved
            else _unsaved_failure(found)
            for identity, found in self.found.items()
            if bool(found.failure.documented) is documented
        )


def _saved_failure(saved: CaseSaved) -> FailureSummary:
    case = saved.case
    return FailureSummary(
        signature=case.signature,
        case=str(saved.path),
        steps=len(case.schedule.steps),
        original_steps=saved.original_steps,
        violations=case.reproduces.violations,
        attempts=case.reproduces.attempts,
        executions_to_shrink=saved.executions_to_shrink,
    )


def _known_limit(known: DocumentedLimitKnown) -> FailureSummary:
    """Return a documented limit that showed once now; an earlier campaign saved its case."""
    return FailureSummary(
        signature=known.failure.signature,
        case=str(known.path),
        steps=0,
        original_steps=0,
        violations=1,
        attempts=1,
        executions_to_shrink=0,
    )


def _unsaved_failure(found: FailureFound) -> FailureSummary:
    length = len(found.schedule.steps)
    return FailureSummary(
        signature=found.failure.signature,
        case=None,
        steps=length,
        original_steps=length,
        violations=found.rate.violations,
        attempts=found.rate.attempts,
        executions_to_shrink=0,
    )
