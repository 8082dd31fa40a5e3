import signal
from dataclasses import replace

import pytest

from chaosfuzz.checking import InvariantJudge
from chaosfuzz.domain import Finding, Kind, View, invariant
from chaosfuzz.domain.contract import Contract, Guarantee, Limit
from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.history import Creation, Fault, FaultKind, History, Observation, ProcessExit
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState, TaskStatus
from chaosfuzz.domain.verdict import Verdict

LIMIT = Limit(
    kind="STUCK", says="stays in doing", source="docs", after=("killed",), status="running"
)
CONTRACT = Contract(
    guarantee=Guarantee.AT_LEAST_ONCE,
    lease_ms=1,
    recovery_ms=1,
    acknowledgement_grace_ms=0,
    request_timeout_ms=1,
    health_ms=1,
    max_attempts=3,
    limits=(LIMIT,),
)


@invariant(kind=Kind.STUCK)
def stuck(_: View):
    yield Finding(message="task 1 is stuck", tasks=(1,))


def judged(
    *,
    struck: str | None = "worker-1",
    at_ns: int = 50,
    status: TaskStatus = TaskStatus.RUNNING,
    ran: bool = True,
    limit: Limit = LIMIT,
    kind: FaultKind = FaultKind.KILLED,
    exit_code: int = 0,
) -> Judgement:
    history = History(began_ns=0)
    request = TaskRequest(number=1, token="t")
    history.add(
        Creation(request=request, outcome=Outcome.OK, task_ids=("1",), sent_ns=1, ended_ns=2)
    )
    if struck is not None:
        history.add(Fault(kind=kind, component=struck, began_ns=at_ns, ended_ns=at_ns + 1))
        history.add(
            ProcessExit(component=struck, pid=1, exit_code=exit_code, ordered=True, at_ns=at_ns + 1)
        )
    if ran:
        run = Execution(
            task_id="1",
            token="t",
            attempt=1,
            component="worker-1",
            pid=1,
            start_ns=40,
            end_ns=60,
            result="died",
        )
        history.executions = (run,)
    state = TaskState(task_id="1", token="t", status=status, attempts=1, max_attempts=0)
    history.add(Observation(at_ns=90, tasks=(state,)))
    view = View(history, replace(CONTRACT, limits=(limit,)), final=True, now_ns=100)
    return InvariantJudge([stuck]).judge(view, None)


def test_what_the_contract_admits_is_told_apart_and_breaks_nothing():
    judgement = judged()
    assert (judgement.verdict, judgement.failures) == (Verdict.HOLDS, ())
    (limit,) = judgement.limits
    assert str(limit.signature) == "stuck/STUCK/worker"
    assert limit.documented == "stays in doing (docs)"


def test_what_is_admitted_of_a_killed_worker_is_not_of_one_that_ended_in_order():
    assert judged(kind=FaultKind.STOPPED).verdict is Verdict.VIOLATED
    stopped = replace(LIMIT, after=("stopped",))
    assert judged(kind=FaultKind.STOPPED, limit=stopped).limits


def test_one_that_had_to_be_killed_after_its_grace_was_killed():
    assert judged(kind=FaultKind.STOPPED, exit_code=-signal.SIGKILL).limits


def test_a_task_that_nobody_began_is_covered_by_a_fault_since_it_was_created():
    assert judged(ran=False).limits


def test_whoever_took_it_next_may_have_been_struck_before_it_began():
    assert judged(struck="worker-2", at_ns=70).limits


@pytest.mark.parametrize(
    "changes",
    [
        {"struck": None},
        {"struck": "worker-2"},
        {"at_ns": 0},
        {"status": TaskStatus.PENDING},
        {"limit": replace(LIMIT, kind="LOST")},
        {"limit": replace(LIMIT, after=("paused",))},
    ],
)
def test_what_it_does_not_admit_breaks_a_promise(changes: dict[str, object]):
    judgement = judged(**changes)  # type: ignore[arg-type]
    assert judgement.verdict is Verdict.VIOLATED
    assert judgement.limits == ()


def test_of_a_whole_run_it_is_admitted_whatever_the_fault_touched():
    assert judged(struck="worker-2", at_ns=0, limit=replace(LIMIT, of_run=True)).limits
    assert judged(struck=None, limit=replace(LIMIT, of_run=True)).failures


def test_without_faults_named_it_is_always_admitted():
    assert judged(struck=None, limit=replace(LIMIT, after=())).limits
