from typing import TYPE_CHECKING

import pytest

from chaosfuzz.actions import ActionContext, Performed, Step, make_step, perform
from chaosfuzz.domain import InquiryKind, OperationKind, Outcome
from chaosfuzz.domain.history import History
from chaosfuzz.domain.outcome import Reception, Reply

if TYPE_CHECKING:
    from tests.unit.execution.conftest import Stage


def perform_work(step: Step, system: object, history: History) -> Performed:
    watch = lambda *_, **__: False  # noqa: E731
    return perform(step, ActionContext(system=system, history=history, watch=watch))  # type: ignore[arg-type]


LOST = make_step("create_tasks", count=1, lost_reply=1)
NEVER = Reply(reception=Reception.NEVER_SENT)
SILENT = Reply(reception=Reception.SENT_WITHOUT_ANSWER)
OK = Reply(reception=Reception.ANSWERED, status=200)
REFUSED = Reply(reception=Reception.ANSWERED, status=422)
BROKEN = Reply(reception=Reception.ANSWERED, status=503)


def test_tasks_are_numbered_from_one_and_have_tokens_of_their_own(stage: "Stage"):
    history = History(began_ns=0)
    perform_work(make_step("create_tasks", count=3, duration_ms=7), stage.system, history)
    requests = [creation.request for creation in history.creations]
    assert [request.number for request in requests] == [1, 2, 3]
    assert len({request.token for request in requests}) == 3
    assert {request.duration_ms for request in requests} == {7}


def test_a_lost_reply_is_followed_by_the_same_key(stage: "Stage"):
    history = History(began_ns=0)
    perform_work(LOST, stage.system, history)
    first, second = stage.system.asked
    assert first == second
    assert len(history.creations) == 1


def test_what_was_never_sent_is_not_sent_again(stage: "Stage"):
    stage.system.replies = [NEVER]
    perform_work(LOST, stage.system, History(began_ns=0))
    assert len(stage.system.asked) == 1


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (OK, OK, Outcome.OK),
        (OK, NEVER, Outcome.UNKNOWN),
        (SILENT, OK, Outcome.OK),
        (SILENT, NEVER, Outcome.UNKNOWN),
        (BROKEN, REFUSED, Outcome.UNKNOWN),
        (REFUSED, REFUSED, Outcome.FAILED),
        (REFUSED, SILENT, Outcome.UNKNOWN),
    ],
)
def test_a_creation_sent_twice_failed_only_if_both_did(
    stage: "Stage", first: Reply, second: Reply, outcome: Outcome
):
    stage.system.replies = [first, second]
    history = History(began_ns=0)
    assert perform_work(LOST, stage.system, history).outcome is outcome
    assert history.creations[0].outcome is outcome


def test_the_outcome_of_a_step_is_its_worst(stage: "Stage"):
    stage.system.replies = [OK, SILENT, REFUSED]
    performed = perform_work(make_step("create_tasks", count=3), stage.system, History(began_ns=0))
    assert performed.outcome is Outcome.UNKNOWN


def test_operations_are_recorded_with_their_outcome(stage: "Stage"):
    history = History(began_ns=0)
    perform_work(make_step("create_tasks", count=1), stage.system, history)
    perform_work(make_step("cancel_task", task=1), stage.system, history)
    perform_work(make_step("retry_task", task=1), stage.system, history)
    assert [(o.kind, o.number, o.outcome) for o in history.operations] == [
        (OperationKind.CANCEL, 1, Outcome.FAILED),
        (OperationKind.RETRY, 1, Outcome.UNKNOWN),
    ]


def test_an_operation_on_a_task_that_was_never_created_is_a_no_op(stage: "Stage"):
    history = History(began_ns=0)
    performed = perform_work(make_step("cancel_task", task=4), stage.system, history)
    assert not performed.applied
    assert history.operations == []
    assert stage.log == []


def test_what_was_answered_is_recorded(stage: "Stage"):
    history = History(began_ns=0)
    step = make_step("read_api", what=1, user=1, limit=7)
    assert perform_work(step, stage.system, history).outcome is Outcome.OK
    (found,) = history.inquiries
    assert (found.kind, found.user, found.limit) == (InquiryKind.DEAD_LETTERS, 1, 7)
    assert (found.task_ids, found.outcome, found.status) == (("id",), Outcome.OK, 200)


@pytest.mark.parametrize(
    ("answers", "outcomes"),
    [
        ([400, 400, 400], ["ok", "ok", "ok"]),
        ([400, 200, 400], ["ok", "unknown", "ok"]),
        ([503, 400, 503], ["unknown", "ok", "unknown"]),
        ([503, 503, 400], ["unknown", "unknown"]),
    ],
)
def test_nonsense_has_to_be_refused_and_ends_with_two_failures(
    stage: "Stage", answers: list[int], outcomes: list[str]
):
    history = History(began_ns=0)
    stage.system.answers = [Reply(reception=Reception.ANSWERED, status=s) for s in answers]
    perform_work(make_step("ask_badly", count=3), stage.system, history)
    assert [found.outcome.value for found in history.inquiries] == outcomes


def test_a_task_is_operated_on_by_whoever_created_it(stage: "Stage"):
    history = History(began_ns=0)
    perform_work(make_step("create_tasks", count=1, user=1), stage.system, history)
    perform_work(make_step("cancel_task", task=1), stage.system, history)
    assert (history.creations[0].request.user, stage.system.log[-1]) == (1, "cancel by 1")
