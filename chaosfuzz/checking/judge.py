"""Runs invariants safely and merges what they find."""

import traceback
from collections.abc import Sequence

from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.verdict import Failure, Finding, Invariant, Signature, Verdict
from chaosfuzz.domain.view import View


class InvariantJudge:
    """Checks a set of invariants (implements the Judge protocol)."""

    def __init__(self, invariants: Sequence[Invariant]) -> None:
        self._invariants = tuple(invariants)

    def judge(self, view: View, step: int | None) -> Judgement:
        """Check what can be checked now. An invariant that crashes gives UNKNOWN, never HOLDS."""
        failures: list[Failure] = []
        undecided: list[str] = []
        if view.final and not view.readable:
            undecided.append("the queue could not be read at the end")
        for invariant in self._invariants:
            if invariant.at_end and not view.final:
                continue
            try:
                findings = list(invariant.check(view))
            except Exception as error:  # noqa: BLE001 - any crash of a check is an UNKNOWN
                undecided.append(_crash(invariant, error))
                continue
            for finding in findings:
                if finding.certain:
                    failures.append(_failure(invariant, finding, step))
                else:
                    undecided.append(f"{invariant.name}: {finding.message}")
        verdict = Verdict.HOLDS
        if failures:
            verdict = Verdict.VIOLATED
        elif undecided:
            verdict = Verdict.UNKNOWN
        return Judgement(verdict=verdict, failures=tuple(failures), undecided=tuple(undecided))


def _failure(invariant: Invariant, finding: Finding, step: int | None) -> Failure:
    kind = (finding.kind or invariant.kind).value
    signature = Signature(invariant=invariant.name, kind=kind, role=finding.role)
    return Failure(signature=signature, message=finding.message, tasks=finding.tasks, step=step)


def _crash(invariant: Invariant, error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else invariant.source
    return f"invariant {invariant.name} crashed: {type(error).__name__}: {error} ({where})"
