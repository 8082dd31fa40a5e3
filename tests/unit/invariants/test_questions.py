from typing import TYPE_CHECKING

from chaosfuzz.domain import FaultKind, InquiryKind, OperationKind, Outcome, TaskStatus

if TYPE_CHECKING:
    from chaosfuzz.testing import HistoryBuilder

DEAD, LIST, STATS = InquiryKind.DEAD_LETTERS, InquiryKind.TASKS, InquiryKind.STATS
FAILED, PENDING = TaskStatus.FAILED, TaskStatus.PENDING


def two_dead_letters(past: "HistoryBuilder") -> "HistoryBuilder":
    """Task 1 of the first user and task 2 of the second, both failed by 9 ms."""
    past.created(1).created(2, user=1)
    return past.observed(9, past.row(1, FAILED), past.row(2, FAILED))


class TestPagesHoldOnesOwn:
    def test_holds_for_a_full_page_of_ones_own(self, past: "HistoryBuilder"):
        two_dead_letters(past).inquired(DEAD, 10, 1, limit=1).inquired(DEAD, 12, 2, user=1)
        assert past.check("pages_hold_ones_own") == []

    def test_finds_a_page_that_others_filled(self, past: "HistoryBuilder"):
        (finding,) = two_dead_letters(past).inquired(DEAD, 10, limit=1).check("pages_hold_ones_own")
        assert finding.message == "a page of dead-letters for at most 1 held 0 where user 1 had 1"
        assert (finding.tasks, finding.role) == ((1,), "server")

    def test_finds_what_is_somebody_elses(self, past: "HistoryBuilder"):
        (finding,) = two_dead_letters(past).inquired(LIST, 10, 1, 2).check("pages_hold_ones_own")
        assert finding.message == "user 1 was shown task 2 of another user"

    def test_a_page_need_not_hold_more_than_was_asked_for(self, past: "HistoryBuilder"):
        past.created(1).created(2).observed(9, past.row(1, PENDING), past.row(2, PENDING))
        assert past.inquired(LIST, 10, 2, limit=1).check("pages_hold_ones_own") == []

    def test_only_what_failed_before_is_a_dead_letter(self, past: "HistoryBuilder"):
        past.created(1).observed(9, past.row(1, PENDING)).inquired(DEAD, 10)
        assert past.observed(12, past.row(1, FAILED)).check("pages_hold_ones_own") == []

    def test_what_was_queued_again_need_not_be_there(self, past: "HistoryBuilder"):
        two_dead_letters(past).operated(OperationKind.RETRY, 1, 10).inquired(DEAD, 15)
        assert past.check("pages_hold_ones_own") == []

    def test_what_may_be_queued_again_later_need_not_be_there(self, past: "HistoryBuilder"):
        past.created(1).operated(OperationKind.RETRY, 1, 3, outcome=Outcome.UNKNOWN)
        past.observed(9, past.row(1, FAILED)).inquired(DEAD, 15)
        assert past.check("pages_hold_ones_own") == []

    def test_no_answer_is_no_empty_page(self, past: "HistoryBuilder"):
        two_dead_letters(past).inquired(DEAD, 10, outcome=Outcome.UNKNOWN)
        assert past.check("pages_hold_ones_own") == []

    def test_finds_stats_that_count_too_few(self, past: "HistoryBuilder"):
        past.created(1).observed(9, past.row(1, PENDING))
        assert past.inquired(STATS, 10, total=1).check("pages_hold_ones_own") == []
        (finding,) = past.inquired(STATS, 12, total=0).check("pages_hold_ones_own")
        assert finding.message == "stats count 0 tasks where there were 1"


class TestQuestionsAreServed:
    def failing(self, past: "HistoryBuilder", at: int) -> "HistoryBuilder":
        nonsense = InquiryKind.NONSENSE
        return past.inquired(nonsense, at, outcome=Outcome.UNKNOWN, status=503)

    def test_finds_two_failures_in_a_row_with_nothing_broken(self, past: "HistoryBuilder"):
        (finding,) = self.failing(self.failing(past, 3), 5).check("questions_are_served")
        assert finding.message == (
            "before the first fault, two requests in a row failed; the second, for nonsense, "
            "gave: 503"
        )
        assert finding.certain

    def test_holds_for_a_failure_between_successes(self, past: "HistoryBuilder"):
        past.inquired(LIST, 1)
        self.failing(past, 3).inquired(LIST, 5)
        assert self.failing(past, 7).check("questions_are_served") == []

    def test_holds_once_something_was_broken(self, past: "HistoryBuilder"):
        past.fault(FaultKind.DATABASE_DOWN, "database", 1, 2)
        assert self.failing(self.failing(past, 3), 5).check("questions_are_served") == []

    def test_is_undecided_when_the_machine_stood_still(self, past: "HistoryBuilder"):
        past.machine_stalled(4, 6)
        (finding,) = self.failing(self.failing(past, 3), 5).check("questions_are_served")
        assert not finding.certain


def test_a_question_that_hangs_is_found(past: "HistoryBuilder"):
    past.inquired(LIST, 1, outcome=Outcome.UNKNOWN, took=5001, status=0)
    (finding,) = past.check("requests_are_answered")
    assert finding.message == "a request got no answer within 5000 ms"
