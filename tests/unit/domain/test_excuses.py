import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaosfuzz.checking.loading import builtin_directory, load_invariants
from chaosfuzz.domain import (
    CLIENT,
    Execution,
    FaultKind,
    Guarantee,
    Kind,
    OperationKind,
    View,
    WorkerExit,
)
from chaosfuzz.domain.excuses import RULES, Effect, Excuse, NoExcuse
from chaosfuzz.domain.history import Fault
from chaosfuzz.testing import HistoryBuilder

MS = 10**6
LEASE_NS = 600 * MS
OF_DATABASE = (FaultKind.DATABASE_DOWN, FaultKind.DISK_FULL)
PROCESS_ENDS = (FaultKind.KILLED, FaultKind.STOPPED, FaultKind.SERVER_DOWN)
COMPONENTS = ("worker-1", "worker-2", "database", "server", CLIENT)

times = st.integers(0, 3000)
faults = st.tuples(
    st.sampled_from(FaultKind), st.sampled_from(COMPONENTS), times, st.none() | times
)


@st.composite
def views(draw: st.DrawFn) -> View:
    past = (
        HistoryBuilder()
        .created(at=draw(times))
        .promises(
            guarantee=draw(st.sampled_from(Guarantee)),
            worker_exit=draw(st.sampled_from(WorkerExit)),
            late_start_is_declared=draw(st.booleans()),
            overlap_after_pause_is_declared=draw(st.booleans()),
        )
    )
    for worker in (1, 2):
        start = draw(times)
        past.executed(1, start, draw(st.none() | st.integers(start, 3000)), worker=worker)
    for kind, component, began, lasted in draw(st.lists(faults, max_size=4)):
        past.fault(kind, component, began, None if lasted is None else began + lasted)
    for at in draw(st.lists(times, max_size=1)):
        past.exited("worker-1", at)
    return past.view(draw(st.integers(3000, 6000)))


def end_with_grace(view: View, execution: Execution) -> int:
    return view.end_ns(execution) + view.contract.acknowledgement_grace_ms * MS


# What was excused before there was a table, condition by condition.
def unheard_end(view: View, execution: Execution) -> bool:
    end_ns = end_with_grace(view, execution)
    touched = any(
        fault.touches(execution.start_ns, end_ns)
        for fault in view.history.faults
        if fault.kind in OF_DATABASE or fault.component == execution.component
    )
    return touched or (
        view.contract.worker_exit is not WorkerExit.BROKEN
        and any(
            e.component == execution.component and execution.start_ns <= e.at_ns <= end_ns
            for e in view.history.exits
        )
    )


def excused(view: View, execution: Execution) -> bool:
    return view.contract.guarantee is not Guarantee.AT_MOST_ONCE and unheard_end(view, execution)


def in_force_ns(fault: Fault, since_ns: int, until_ns: int) -> int:
    ended_ns = until_ns if fault.ended_ns is None else min(fault.ended_ns, until_ns)
    return ended_ns - max(fault.began_ns, since_ns)


def late_start(view: View, execution: Execution) -> bool:
    created_ns = view.tasks[0].creation.sent_ns
    return view.contract.late_start_is_declared and any(
        fault.kind not in PROCESS_ENDS
        and (fault.kind in OF_DATABASE or fault.component == execution.component)
        and in_force_ns(fault, created_ns, execution.start_ns) >= LEASE_NS
        for fault in view.history.faults
    )


def may_lose(view: View, _: Execution) -> bool:
    since_ns = view.tasks[0].creation.sent_ns
    at_most_once = view.contract.guarantee is Guarantee.AT_MOST_ONCE
    return at_most_once and bool(view.faults(since_ns, view.now_ns))


def held_up(view: View, execution: Execution) -> bool:
    return any(
        f.kind is FaultKind.DATABASE_DOWN or f.component == execution.component
        for f in view.faults(view.tasks[0].creation.sent_ns, execution.start_ns)
    )


def answer_held_back(view: View, execution: Execution) -> bool:
    during = view.faults(execution.start_ns, view.end_ns(execution))
    return any(fault.component == CLIENT for fault in during)


def exit_excused(view: View, _: Execution) -> bool:
    return view.contract.worker_exit is WorkerExit.WITHOUT_DATABASE and any(
        f.kind is FaultKind.DATABASE_DOWN
        or (f.kind is FaultKind.CUT_OFF and f.component == view.history.exits[0].component)
        for f in view.history.faults
    )


ASKS = {
    "excused": Effect.UNHEARD_END,
    "unheard_end": Effect.UNHEARD_END,
    "late_start": Effect.LATE_START,
    "may_lose": Effect.TASK_GIVEN_UP,
    "answer_held_back": Effect.ANSWER_HELD_BACK,
    "held_up": Effect.WAITING_TASK_HELD_UP,
    "exit_excused": Effect.EXIT,
    "disturbed": Effect.DISTURBANCE,
    "faults": Effect.DISTURBANCE,
}
Asked = Callable[[View, Execution], object]
PAIRS: dict[str, tuple[Asked, Asked]] = {
    "unheard_end": (lambda view, run: view.unheard_end(run), unheard_end),
    "excused": (lambda view, run: view.excused(run), excused),
    "excused_if_declared": (
        lambda view, run: view.excused(run, declared=view.contract.overlap_after_pause_is_declared),
        lambda view, run: view.contract.overlap_after_pause_is_declared and excused(view, run),
    ),
    "late_start": (lambda view, run: view.late_start(view.tasks[0], run), late_start),
    "may_lose": (lambda view, _: view.may_lose(view.tasks[0]), may_lose),
    "held_up": (lambda view, run: view.held_up(view.tasks[0], run), held_up),
    "answer_held_back": (
        lambda view, run: view.answer_held_back(run.start_ns, view.end_ns(run)),
        answer_held_back,
    ),
    "disturbed": (
        lambda view, run: view.disturbed(run.start_ns, view.now_ns, began="a", ended="b"),
        lambda view, run: bool(view.faults(run.start_ns, view.now_ns)),
    ),
    "exit_excused": (
        lambda view, _: view.history.exits and view.exit_excused(view.history.exits[0]),
        lambda view, run: view.history.exits and exit_excused(view, run),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=300, deadline=None)
@given(view=views())
def test_the_table_excuses_what_the_conditions_excused(name: str, view: View) -> None:
    by_table, by_condition = PAIRS[name]
    for execution in view.tasks[0].executions:
        answer = by_table(view, execution)
        assert bool(answer) is bool(by_condition(view, execution)), answer
        if isinstance(answer, NoExcuse):
            assert isinstance(answer.note, str)


def test_every_effect_has_a_rule_and_every_rule_a_reason():
    assert set(RULES) == set(Effect)
    for rule in RULES.values():
        assert rule.why
        assert rule.during
        assert rule.kinds
        assert rule.own | rule.any_component


def test_the_kinds_of_the_table_are_those_of_the_invariants_that_ask_it():
    asked: dict[Effect, set[Kind]] = {effect: set() for effect in Effect}
    for found in load_invariants([builtin_directory()]):
        for name in re.findall(r"view\.(\w+)\(", Path(found.source).read_text()):
            if name in ASKS:
                asked[ASKS[name]].add(found.kind)
    assert asked == {effect: set(rule.kinds) for effect, rule in RULES.items()}


def test_an_excuse_says_what_for_how_long_and_why():
    past = HistoryBuilder().created().executed(1, 2, 4)
    past.fault(FaultKind.PAUSED, "worker-1", 3, 3103)
    (task,) = past.view().tasks
    excuse = past.view().excused(task.executions[0])
    assert isinstance(excuse, Excuse)
    assert str(excuse) == (
        "worker-1 paused for 3.1 s, longer than the lease of 600 ms "
        "(the acknowledgement may not have reached the queue)"
    )
    assert (excuse.component, excuse.duration_ns) == ("worker-1", 3100 * MS)
    assert excuse.fault is past.history.faults[0]


def test_a_fault_that_is_still_in_force_lasts_until_now():
    past = HistoryBuilder().created().executed(1, 2, 4).fault(FaultKind.DATABASE_DOWN, "db", 3)
    assert "database down for 197 ms (" in str(past.view(200).excused(past.history.executions[0]))


def test_an_exit_excuses_where_the_contract_allows_it():
    past = HistoryBuilder().promises(worker_exit=WorkerExit.ALLOWED).created().executed(1, 2, 4)
    answer = past.exited("worker-1", 5, code=3).view().excused(past.history.executions[0])
    assert str(answer).startswith("worker-1 exited with code 3 (")


@pytest.mark.parametrize(
    ("kind", "component", "began", "ended", "reason"),
    [
        (
            FaultKind.DATABASE_DOWN,
            "database",
            500,
            700,
            (
                "database down for 200 ms, does not excuse it: it ended "
                "300 ms before worker-1 started the task"
            ),
        ),
        (
            FaultKind.KILLED,
            "worker-1",
            2105,
            2105,
            (
                "worker-1 killed, does not excuse it: it began 5 ms after the "
                "acknowledgement was due, 1000 ms after the end of the task"
            ),
        ),
        (
            FaultKind.PAUSED,
            "worker-2",
            1050,
            1060,
            "worker-2 paused for 10 ms, does not excuse it: it did not hit worker-1",
        ),
    ],
)
def test_the_nearest_fault_is_named_with_why_it_does_not_excuse(
    kind: FaultKind, component: str, began: int, ended: int, reason: str
):
    past = HistoryBuilder().created().executed(1, 1000, 1100)
    past.fault(FaultKind.KILLED, "worker-1", -3000, -2900).fault(kind, component, began, ended)
    answer = past.view().excused(past.history.executions[0])
    assert isinstance(answer, NoExcuse)
    assert answer.note == f"; the nearest fault, {reason}"


def test_no_fault_is_named_that_was_far_away():
    past = HistoryBuilder().created().executed(1, 9000, 9100)
    past.fault(FaultKind.KILLED, "worker-1", 3000, 3900)
    answer = past.view().excused(past.history.executions[0])
    assert isinstance(answer, NoExcuse)
    assert answer.note == ""


def test_a_fault_is_named_with_the_promise_that_keeps_it_from_excusing():
    past = HistoryBuilder().created().executed(1, 2, 4).fault(FaultKind.PAUSED, "worker-1", 3, 9)
    answer = past.view().excused(past.history.executions[0], declared=False)
    assert isinstance(answer, NoExcuse)
    assert answer.note == (
        "; the nearest fault, worker-1 paused for 6 ms, does not excuse it: "
        "the contract forbids it even after a fault"
    )


def test_too_short_a_fault_is_compared_with_the_lease():
    past = HistoryBuilder().promises(late_start_is_declared=True).created().executed(1, 900, 950)
    past.fault(FaultKind.PAUSED, "worker-1", 100, 400)
    view = past.view()
    answer = view.late_start(view.tasks[0], view.tasks[0].executions[0])
    assert isinstance(answer, NoExcuse)
    assert "in force for 300 ms of the time that counts, less than the lease of 600" in answer.note


class TestExcusedRuns:
    def test_names_the_run_and_its_excuse(self):
        past = HistoryBuilder().created(3).executed(3, 2).exited("worker-2", 5, ordered=True)
        past.executed(3, 700, 702, worker=2).fault(FaultKind.KILLED, "worker-1", 4, 9)
        (run,) = past.view().excused_runs()
        assert (run.task, run.component, run.at_ns) == (3, "worker-2", 700 * MS)
        assert str(run) == (
            "task 3 ran again on worker-2: excused by worker-1 killed "
            "(the acknowledgement may not have reached the queue)"
        )

    def test_leaves_out_retries_of_failures_and_those_a_client_asked_for(self):
        past = HistoryBuilder().fault(FaultKind.DATABASE_DOWN, "database", 0, 60_000)
        past.created(1).executed(1, 2, 4, result="failed").executed(1, 9, 10)
        past.created(2).executed(2, 2, 4).operated(OperationKind.RETRY, 2, 5).executed(2, 9, 10)
        assert past.view().excused_runs() == ()

    def test_leaves_out_what_nothing_excuses(self):
        past = HistoryBuilder().created().executed(1, 2, 4).executed(1, 9, 10)
        assert past.view().excused_runs() == ()
