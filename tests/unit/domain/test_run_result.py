"""One look at a system may show several broken promises; whichever is asked for is told."""

from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict

NOTHING = Schedule(workers=1, steps=())
LEAK = Signature(invariant="no_leak", kind="LEAK", role="database")
UNWELL = Signature(invariant="recovers_after_healing", kind="UNHEALTHY", role="server")
STUCK = Signature(invariant="eventual_completion", kind="STUCK", role="worker")


def failure(signature: Signature) -> Failure:
    return Failure(signature=signature, message=f"{signature.kind} was seen", tasks=(), step=None)


def result(*signatures: Signature) -> RunResult:
    first, *also = map(failure, signatures)
    return RunResult(
        schedule=NOTHING,
        verdict=Verdict.VIOLATED,
        failure=first,
        also=tuple(also),
    )


def test_the_failure_asked_for_comes_first_and_no_other_is_dropped() -> None:
    seen = result(LEAK, UNWELL, STUCK).showing(UNWELL)
    assert seen == result(UNWELL, LEAK, STUCK)


def test_a_result_that_does_not_show_it_stays_as_it_is() -> None:
    assert result(LEAK, UNWELL).showing(STUCK) == result(LEAK, UNWELL)
    assert result(LEAK, UNWELL).showing(LEAK) == result(LEAK, UNWELL)
    held = RunResult(schedule=NOTHING, verdict=Verdict.HOLDS)
    assert held.showing(LEAK) is held
