"""What is learned of a target from one run: which of its requests are a task's."""

from dataclasses import replace

import pytest

from chaosfuzz.campaign.learning import IDLE, LONG_IDLE, learn, learn_at_once
from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.history import History, StepRecord
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult, TargetDescription
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.domain.wire import Request
from chaosfuzz.planning.enumeration import SHORT_LEASE_MS

CLAIM, COMPLETE, SWEEP = "UPDATE claim", "UPDATE done", "UPDATE sweep"
CONTRACT = Contract(
    guarantee=Guarantee.AT_LEAST_ONCE,
    lease_ms=SHORT_LEASE_MS,
    recovery_ms=1,
    acknowledgement_grace_ms=1,
    request_timeout_ms=1,
    health_ms=1,
    max_attempts=3,
)
DESCRIPTION = TargetDescription(
    name="t", summary="", actions=(), contract=CONTRACT, takes=("failures",)
)
STEP_NS = 100


class Queue:
    """Claims and completes each task, fails none, and sweeps once, while the second is at work."""

    def run(self, schedule: Schedule) -> RunResult:
        raise AssertionError(schedule)

    def close(self) -> None: ...

    def trace(self, schedule: Schedule) -> tuple[RunResult, tuple[Request, ...]]:
        history = History(began_ns=0)
        requests = []
        for index, step in enumerate(schedule.steps):
            at_ns = index * STEP_NS
            history.add(
                StepRecord(
                    index=index,
                    step=step,
                    began_ns=at_ns,
                    ended_ns=at_ns + STEP_NS - 1,
                    outcome=Outcome.OK,
                )
            )
            if step.action != "create_tasks":
                continue
            events = [CLAIM, COMPLETE] + [SWEEP] * (step["failures"] == 0)
            requests += [
                Request(component="worker-1", event=event, at_ns=at_ns + 1, completion="UPDATE 1")
                for event in events
            ]
        result = RunResult(schedule=schedule, verdict=Verdict.HOLDS, history=history)
        return result, tuple(requests)


@pytest.mark.parametrize(("lease_ms", "background"), [(SHORT_LEASE_MS, False), (5000, True)])
def test_with_long_leases_what_comes_once_for_several_tasks_is_no_tasks(
    lease_ms: int, background: bool
):
    description = replace(DESCRIPTION, contract=replace(CONTRACT, lease_ms=lease_ms))
    events = {e.event: e for e in learn_at_once(Queue(), description).events}
    assert events[SWEEP].background is background
    assert not events[CLAIM].background
    assert not events[COMPLETE].background


def test_who_gives_long_leases_is_watched_for_longer_with_nothing_to_do():
    assert LONG_IDLE["ms"] > IDLE["ms"]
    watched: list[Schedule] = []

    class Noting(Queue):
        def trace(self, schedule: Schedule) -> tuple[RunResult, tuple[Request, ...]]:
            watched.append(schedule)
            return super().trace(schedule)

    for lease_ms in (SHORT_LEASE_MS, SHORT_LEASE_MS + 1):
        learn_at_once(Noting(), replace(DESCRIPTION, contract=replace(CONTRACT, lease_ms=lease_ms)))
    assert [s.steps[0] for s in watched] == [s.steps[-1] for s in watched] == [IDLE, LONG_IDLE]


@pytest.mark.parametrize(("lease_ms", "background"), [(SHORT_LEASE_MS, False), (5000, True)])
def test_with_long_leases_what_one_run_of_a_life_lacks_is_no_tasks(lease_ms: int, background: bool):
    class Moody(Queue):
        runs = 0

        def trace(self, schedule: Schedule) -> tuple[RunResult, tuple[Request, ...]]:
            self.runs += 1
            result, requests = super().trace(schedule)
            kept = [r for r in requests if r.event != SWEEP or self.runs == 1]
            return result, tuple(kept)

    description = replace(DESCRIPTION, contract=replace(CONTRACT, lease_ms=lease_ms))
    _, alphabet = next(learn(Moody(), description))
    events = {event.event: event.background for event in alphabet.events}
    assert events == {CLAIM: False, COMPLETE: False, SWEEP: background}
