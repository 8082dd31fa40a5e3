"""Renames the stale moments of a case: their requests are no longer made by its target."""

import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from chaosfuzz.actions import whose_moment
from chaosfuzz.campaign.replay import (
    CaseReplay,
    Judgement,
    Standing,
    events_for,
    requests_of,
    stale_steps,
)
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.case import Case
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.moment import Alphabet
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.verdict import Verdict

# Two requests may replace one another from this share of common words on. Chosen by hand.
MIN_LIKENESS = 0.25
# An error message lists so many requests at most. Chosen by hand.
MAX_SHOWN = 12
_WORD = re.compile(r"\w[\w-]*")
_KEY = re.compile(r"(?P<text>.*?)(?:~[0-9a-f]{4})?(?: \[(?P<fingerprint>[0-9a-f]{8})\])?")


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """The outcome of a refresh: the new event by the old one, and the judgement on the new case.

    `names` is empty and `judgement` None if nothing was stale. `is_shown` of a case that is to fail
    says that the failure showed and its rate has not fallen; of one that is to hold, that at least
    one run reached its moments.
    """

    names: dict[str, str]
    judgement: Judgement | None = None
    is_shown: bool = False


def refresh(
    case: Case,
    setup: Setup,
    chosen: Sequence[str],
    logs: Path,
    journal: Journal,
    path: Path,
    *,
    stop: StopSignal,
) -> Refreshed:
    """Find a new name for each stale request, and replay the case with it. Writes no case file.

    `chosen` are the new names that the user gives, in the order of the stale moments. A stale
    request without a chosen name gets the nearest request that the target makes now.

    Raises:
        UsageError: several requests are equally near, none is near, the target makes no request of
            a chosen name, or there are more chosen names than stale requests.
        InfrastructureError: the target has no moments, or the harness failed.

    """
    with closing(setup.runner(0, logs, journal, stop)) as runner:
        requests = requests_of(runner, setup, case.schedule)
    if requests is None:
        raise InfrastructureError(
            cause=f"the requests of {setup.place} cannot be seen, so it has no moments",
            remedy="remove `at` from the case, or use a target that has moments",
        )
    stale = {step.at.event: step for step in stale_steps(case.schedule, requests) if step.at}
    if len(chosen) > len(stale):
        raise UsageError(
            cause=(
                f"--moment is given {counted(len(chosen), 'time')}, and "
                f"{counted(len(stale), 'request')} of the case "
                f"{'is' if len(stale) == 1 else 'are'} stale{_listed(stale)}"
            ),
            remedy="give --moment once for each stale request",
        )
    names = {}
    for index, (event, step) in enumerate(stale.items()):
        wanted = chosen[index] if index < len(chosen) else ""
        names[event] = _new_name(event, step, requests, wanted)
    if not names:
        return Refreshed(names={})
    replay = CaseReplay(renamed(case, names), setup)
    for _ in replay.run(logs, journal, stop):
        pass
    judgement = replay.judgement(path)
    if case.expect is Verdict.VIOLATED:
        is_shown = replay.today.violations > 0 and judgement.standing is not Standing.UNEXPECTED
    else:
        is_shown = replay.today.attempts > 0
    return Refreshed(names=names, judgement=judgement, is_shown=is_shown)


def renamed(case: Case, names: dict[str, str]) -> Case:
    """Return the case with the events of its moments renamed."""
    steps = tuple(
        step
        if step.at is None
        else step.pinned(replace(step.at, event=names.get(step.at.event, step.at.event)))
        for step in case.schedule.steps
    )
    return replace(case, schedule=replace(case.schedule, steps=steps))


def nearest(event: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the requests of `known` that are most like `event`: several if they are equally near.

    Only requests with the same verb count. An equal statement fingerprint ranks first, then an
    equal relation, then the share of common words (Jaccard index). Empty if the best has another
    fingerprint and less than MIN_LIKENESS of its words in common.
    """
    ranks = {key: _likeness(event, key) for key in known}
    best = max(ranks.values(), default=(False, False, 0.0))
    if not best[0] and best[2] < MIN_LIKENESS:
        return ()
    return tuple(sorted(key for key, rank in ranks.items() if rank == best))


def _likeness(event: str, other: str) -> tuple[bool, bool, float]:
    (words, fingerprint), (words_too, fingerprint_too) = _parsed(event), _parsed(other)
    if words[:1] != words_too[:1]:
        return False, False, 0.0
    common = len(set(words) & set(words_too)) / len(set(words) | set(words_too))
    alike = bool(fingerprint) and fingerprint == fingerprint_too
    return alike, _subject(words) == _subject(words_too), common


def _parsed(event: str) -> tuple[list[str], str]:
    """Return the words of a request's name, and the fingerprint of its statement."""
    match = _KEY.fullmatch(event)
    assert match is not None
    return _WORD.findall(match["text"]), match["fingerprint"] or ""


def _subject(words: Sequence[str]) -> Sequence[str]:
    """Return verb and relation; for a COMMIT also those of the write that it commits."""
    return words[: 4 if words[1:2] == ["of"] else 2]


def _new_name(event: str, step: Step, requests: Alphabet, wanted: str) -> str:
    known = events_for(step, requests)
    role = whose_moment(step).partition("-")[0]
    none_seen = f"no request of the {role} was seen; the moment cannot be renewed"
    if wanted:
        if wanted not in known:
            choice = f"choose one of the {role}'s requests{_listed(known)}"
            raise UsageError(
                cause=f"--moment {wanted!r}: no {role} of the target makes such a request now",
                remedy=choice if known else none_seen,
            )
        return wanted
    near = nearest(event, known)
    if len(near) == 1:
        return near[0]
    why = "several requests are equally near" if near else "no request that is made now is near"
    raise UsageError(
        cause=f"{event!r} is stale, and {why}",
        remedy=f"choose one with --moment NAME{_listed(near or known)}" if known else none_seen,
    )


def _listed(names: Iterable[str]) -> str:
    every = [f"\n  {name}" for name in names]
    more = f"\n  and {len(every) - MAX_SHOWN} more" if len(every) > MAX_SHOWN else ""
    return (":" if every else "") + "".join(every[:MAX_SHOWN]) + more
