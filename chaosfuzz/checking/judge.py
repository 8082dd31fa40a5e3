"""Checks invariants, survives those that crash, and merges their findings."""

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from chaosfuzz.checking.limits import documented
from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.verdict import Failure, Finding, Invariant, Kind, Signature, Verdict
from chaosfuzz.domain.view import View

# So many findings of one invariant in one check are read, and so many characters of a crash are
# shown. Chosen by hand: an invariant may loop without end, and an error may be of any length.
MAX_FINDINGS = 1000
MAX_MESSAGE = 500


class InvariantJudge:
    """A judge that checks a set of invariants (implements the Judge protocol)."""

    def __init__(self, invariants: Sequence[Invariant]) -> None:
        self._invariants = tuple(invariants)

    def judge(self, view: View, step: int | None) -> Judgement:
        """Check every invariant, those with `at_end` only if the view is final.

        Certain findings are failures, or documented limits if the contract admits them; the others
        are reasons in `undecided`. An invariant that crashes is undecided, and its findings do not
        count. The verdict is VIOLATED with a failure, else UNKNOWN with something undecided, else
        HOLDS.
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
    """Return an invariant's certain findings as failures, and the others as reasons in words.

    Raises whatever the invariant raises, TypeError if it yields something else than a Finding, and
    ValueError for an unknown kind.
    """
    certain: list[Failure] = []
    uncertain: list[str] = []
    # Users write invariants without type checks, so every value they yield is checked here.
    given: Iterable[object] = invariant.check(view)
    for finding in islice(given, MAX_FINDINGS):
        if not isinstance(finding, Finding):
            message = f"it yielded {finding!r:.80}; yield Finding(message=...) instead"
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
    """Say which invariant crashed, how, and in which file and line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else invariant.source
    what = traceback.format_exception_only(error)[-1].strip()[:MAX_MESSAGE]
    return f"invariant {invariant.name} crashed: {what} ({where})"
