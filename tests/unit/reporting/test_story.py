from dataclasses import replace

from chaosfuzz.actions import make_step
from chaosfuzz.domain import Excuse, Execution, FaultKind, Outcome, TaskStatus
from chaosfuzz.domain.excuses import ExcusedRun
from chaosfuzz.domain.history import Creation, History, Observation, ProcessExit, StepRecord
from chaosfuzz.domain.task import TaskRequest, TaskState
from chaosfuzz.domain.verdict import Failure, Signature
from chaosfuzz.reporting.story import MAX_LINES, tell

MS = 10**6
FAILURE = Failure(
    signature=Signature(invariant="eventual_completion", kind="STUCK", role="worker"),
    message="task 1 is still running",
    tasks=(1,),
    step=None,
)


def history() -> History:
    told = History(began_ns=0, healed_ns=50 * MS)
    for number in (1, 2):
        told.creations.append(
            Creation(
                request=TaskRequest(number=number, token=f"t{number}"),
                outcome=Outcome.OK,
                task_ids=(f"id{number}",),
                sent_ns=0,
                ended_ns=number * MS,
            )
        )
    told.steps.append(
        StepRecord(
            index=0,
            step=make_step("create_tasks", count=2),
            began_ns=0,
            ended_ns=2 * MS,
            outcome=Outcome.OK,
        )
    )
    told.steps.append(
        StepRecord(
            index=1,
            step=make_step("kill_worker", worker=1),
            began_ns=10 * MS,
            ended_ns=12 * MS,
            outcome=Outcome.FAILED,
            applied=False,
        )
    )
    told.executions = (
        Execution(
            task_id="id1", token="t1", attempt=1, component="worker-1", pid=9, start_ns=3 * MS
        ),
    )
    state = TaskState(
        task_id="id1", token="t1", status=TaskStatus.RUNNING, attempts=1, max_attempts=3
    )
    told.observations += [Observation(at_ns=at * MS, tasks=(state,)) for at in (4, 5)]
    told.begin_fault(FaultKind.KILLED, "worker-1", 11 * MS)
    told.end_fault(FaultKind.KILLED, "worker-1", 12 * MS)
    told.exits.append(
        ProcessExit(component="worker-2", pid=8, exit_code=1, ordered=False, at_ns=20 * MS)
    )
    return told


def test_the_story_is_told_in_order_of_time_about_the_tasks_concerned():
    assert tell(history(), FAILURE, (1,)) == (
        "      0.0 ms  chaosfuzz  step 1: create_tasks(count=2)",
        "      1.0 ms  client     creation of task 1: ok",
        "      3.0 ms  worker-1   starts task 1 (attempt 1, pid 9)",
        "      4.0 ms  queue      task 1 is running, attempt 1",
        "     10.0 ms  chaosfuzz  step 2: kill_worker(worker=1) -> failed (does not apply)",
        "     11.0 ms  worker-1   killed",
        "     12.0 ms  worker-1   killed is over",
        "     20.0 ms  worker-2   exit code 1",
        "     50.0 ms  chaosfuzz  every fault is healed",
        "              => STUCK: task 1 is still running",
    )


def test_attempts_that_the_target_does_not_count_are_not_told():
    told = history()
    told.executions = tuple(replace(each, attempt=0, end_ns=6 * MS) for each in told.executions)
    told.observations = [
        replace(seen, tasks=tuple(replace(row, attempts=0) for row in seen.tasks or ()))
        for seen in told.observations
    ]
    lines = "\n".join(tell(told, FAILURE, (1,)))
    assert "worker-1   starts task 1 (pid 9)" in lines
    assert "queue      task 1 is running\n" in lines
    assert "attempt" not in lines


def test_a_long_story_is_cut_and_still_ends_with_the_failure():
    long = history()
    for at in range(MAX_LINES):
        long.begin_fault(FaultKind.PAUSED, "worker-3", at * MS)
    told = tell(long, FAILURE, ())
    assert len(told) == MAX_LINES + 2
    assert told[-2].startswith("... and ")
    assert told[-1].endswith("STUCK: task 1 is still running")


def test_a_run_that_repeats_a_task_is_told_with_its_excuse():
    excuse = Excuse(words="worker-2 killed", why="it may not have acknowledged", component="w")
    run = ExcusedRun(task=2, component="worker-1", at_ns=15 * MS, excuse=excuse)
    told = tell(history(), FAILURE, (1,), (run,))
    assert (
        "     15.0 ms  worker-1   task 2 ran again on worker-1: excused by worker-2 killed "
        "(it may not have acknowledged)"
    ) in told
