import sys
from collections.abc import Callable, Iterator

from chaosfuzz.checking import InvariantJudge
from chaosfuzz.domain import Finding, Kind, View, invariant
from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.history import History, Observation
from chaosfuzz.domain.verdict import Invariant, Verdict

CONTRACT = Contract(
    guarantee=Guarantee.AT_LEAST_ONCE,
    lease_ms=1,
    recovery_ms=1,
    acknowledgement_grace_ms=1,
    request_timeout_ms=1,
    health_ms=1,
    max_attempts=3,
)


def view(*, final: bool = True, readable: bool = True) -> View:
    history = History(began_ns=0)
    history.add(Observation(at_ns=1, tasks=() if readable else None))
    return View(history, CONTRACT, final, 2)


def judge(*invariants: Invariant, step: int | None = None, final: bool = True) -> Judgement:
    return InvariantJudge(invariants).judge(view(final=final), step)


def giving(*findings: object, at_end: bool = False) -> Invariant:
    def check(_: View) -> Iterator[Finding]:
        yield from findings  # type: ignore[misc]

    return invariant(kind=Kind.LOST, at_end=at_end)(check)


def crashing(crash: Callable[[], object], *before: Finding) -> Invariant:
    def check(_: View) -> Iterator[Finding]:
        yield from before
        crash()

    return invariant(kind=Kind.STUCK)(check)


def test_nothing_found_holds():
    assert judge(giving()) == Judgement(verdict=Verdict.HOLDS)


def test_a_finding_is_a_failure_with_evidence_and_signature():
    judgement = judge(giving(Finding(message="task 2 is nowhere", tasks=(2,), role="db")), step=4)
    assert judgement.verdict is Verdict.VIOLATED
    (failure,) = judgement.failures
    assert str(failure.signature) == "check/LOST/db"
    assert (failure.message, failure.tasks, failure.step) == ("task 2 is nowhere", (2,), 4)


def test_a_finding_may_be_of_another_kind_than_its_invariant():
    (failure,) = judge(giving(Finding(message="m", kind=Kind.LEAK))).failures
    assert failure.signature.kind == "LEAK"


def test_an_uncertain_finding_is_unknown_with_its_reason():
    judgement = judge(giving(Finding(message="late", certain=False)))
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.undecided == ("check: late",)


def test_a_violation_stands_beside_something_undecided():
    judgement = judge(giving(Finding(message="a", certain=False)), giving(Finding(message="b")))
    assert judgement.verdict is Verdict.VIOLATED
    assert len(judgement.undecided) == 1


def test_a_crash_is_unknown_and_shows_the_error():
    judgement = judge(crashing(lambda: 1 // 0))
    assert judgement.verdict is Verdict.UNKNOWN
    (reason,) = judgement.undecided
    assert reason.startswith("invariant check crashed: ZeroDivisionError: ")
    assert f"({__file__}:" in reason


def test_what_was_found_before_a_crash_is_not_believed():
    judgement = judge(crashing(lambda: 1 // 0, Finding(message="seen")))
    assert (judgement.verdict, judgement.failures) == (Verdict.UNKNOWN, ())


def test_an_invariant_that_exits_is_a_crash():
    assert "crashed: SystemExit: 0" in judge(crashing(lambda: sys.exit(0))).undecided[0]


def test_an_error_that_cannot_be_shown_is_a_crash():
    class Mute(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError

    def crash() -> None:
        raise Mute

    assert "crashed: " in judge(crashing(crash)).undecided[0]


def test_something_else_than_a_finding_is_a_crash():
    (reason,) = judge(giving("task 1 is lost")).undecided
    assert "TypeError: it yielded 'task 1 is lost'; yield Finding(message=...) instead" in reason


def test_an_invariant_that_gives_nothing_iterable_is_a_crash():
    def check(_: View) -> None:
        return None

    given = invariant(kind=Kind.LOST)(check)  # type: ignore[arg-type]
    assert judge(given).verdict is Verdict.UNKNOWN


def test_an_unknown_kind_is_a_crash():
    found = Finding(message="m", kind="NOVEL")  # type: ignore[arg-type]
    assert "'NOVEL' is not a valid Kind" in judge(giving(found)).undecided[0]


def test_endless_findings_end():
    def check(_: View) -> Iterator[Finding]:
        while True:
            yield Finding(message="again")

    assert len(judge(invariant(kind=Kind.LOST)(check)).failures) == 1000


def test_the_others_are_checked_after_a_crash():
    judgement = judge(crashing(lambda: 1 // 0), giving(Finding(message="m")))
    assert judgement.verdict is Verdict.VIOLATED


def test_what_is_checked_at_the_end_is_not_checked_before():
    at_end = giving(Finding(message="m"), at_end=True)
    assert judge(at_end, final=False).verdict is Verdict.HOLDS
    assert judge(at_end, final=True).verdict is Verdict.VIOLATED


def test_a_queue_unreadable_at_the_end_is_unknown():
    judgement = InvariantJudge([]).judge(view(readable=False), None)
    assert judgement.undecided == ("the queue could not be read at the end",)
    assert InvariantJudge([]).judge(view(readable=False, final=False), 0).undecided == ()
