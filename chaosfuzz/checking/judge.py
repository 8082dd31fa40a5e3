"""Runs invariants safely and merges what they find."""

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from chaosfuzz.checking.limits import documented
from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.verdict import Failure, Finding, Invariant, Kind, Signature, Verdict
from chaosfuzz.domain.view import View

MAX_FINDINGS = 1000
MAX_MESSAGE = 500


class InvariantJudge:
    """Checks a set of invariants (implements the Judge protocol)."""

    def __init__(self, invariants: Sequence[Invariant]) -> None:
        self._invariants = tuple(invariants)

    def judge(self, view: View, step: int | None) -> Judgement:
        """Check what can be checked now. An invariant that crashes gives UNKNOWN, never HOLDS.

        Nor does it give VIOLATED: what it found before it crashed is not believed.
        """
        failures: list[Failure] = []
        undecided: list[str] = []
        if view.final and not view.readable:
            undecided.append("the queue could not be read at the end")
        limits: list[Failure] = []
        for invariant in self._invariants:
            if invariant.at_end and not view.final:
                continue
            try:
                certain, uncertain = _findings(invariant, view, step)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - any crash is an UNKNOWN
                undecided.append(_crash(invariant, error))
                continue
            for failure in certain:
                limit = documented(view, failure)
                if limit is None:
                    failures.append(failure)
                else:
                    source = f"{limit.says} ({limit.source})"
                    limits.append(replace(failure, documented=source))
            undecided += uncertain
        verdict = Verdict.HOLDS
        if failures:
            verdict = Verdict.VIOLATED
        elif undecided:
            verdict = Verdict.UNKNOWN
        return Judgement(
            verdict=verdict,
            failures=tuple(failures),
            limits=tuple(limits),
            undecided=tuple(undecided),
        )


def _findings(
    invariant: Invariant, view: View, step: int | None
) -> tuple[list[Failure], list[str]]:
    """Return the failures an invariant is certain of, and what it left undecided."""
    certain: list[Failure] = []
    uncertain: list[str] = []
    # Users write invariants, so what they give is looked at, whatever the types say.
    given: Iterable[object] = invariant.check(view)
    for finding in islice(given, MAX_FINDINGS):
        if not isinstance(finding, Finding):
            message = f"it gave {finding!r:.80}, which is no Finding"
            raise TypeError(message)
        message = finding.message
        if not finding.certain:
            uncertain.append(f"{invariant.name}: {message}")
            continue
        kind = Kind(finding.kind or invariant.kind).value
        signature = Signature(invariant=invariant.name, kind=kind, role=finding.role)
        certain.append(
            Failure(signature=signature, message=message, tasks=tuple(finding.tasks), step=step)
        )
    return certain, uncertain


def _crash(invariant: Invariant, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else invariant.source
    what = traceback.format_exception_only(error)[-1].strip()[:MAX_MESSAGE]
    return f"invariant {invariant.name} crashed: {what} ({where})"
