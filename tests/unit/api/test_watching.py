import threading
from collections.abc import Sequence

import pytest
from unit.api.foreign import ForeignSystem, serving

from chaosfuzz.api import Api, check_api
from chaosfuzz.api.checks import NUMBER_OF_CHECKS
from chaosfuzz.api.watching import Ending, Watch
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.task_counts import TaskCounts

ONE_OF_TWO = TaskCounts(running=1, completed=1)
BOTH = TaskCounts(completed=1, failed=1)


def watch(looks: Sequence[TaskCounts | None], **limits: float) -> Watch:
    """Watch what is seen look by look, the last for ever."""
    left = list(looks)
    watching = Watch(
        count=lambda: left.pop(0) if len(left) > 1 else left[0],
        stop=threading.Event(),
        interval_s=0.005,
        **limits,  # type: ignore[arg-type]
    )
    for _ in watching.run():
        pass
    return watching


def test_it_ends_as_soon_as_all_have_ended():
    watching = watch([TaskCounts(), ONE_OF_TWO, None, BOTH])
    assert (watching.ending, watching.counts) == (Ending.DONE, BOTH)


def test_it_waits_for_as_many_as_are_expected():
    assert watch([BOTH], expected=3, stall_s=0.05).ending is Ending.STALLED


def test_it_gives_up_when_none_ends_any_more():
    watching = watch([ONE_OF_TWO], stall_s=0.05)
    assert watching.ending is Ending.STALLED
    assert watching.duration_s >= 0.05


def test_retries_without_end_are_no_progress():
    looks = [TaskCounts(retrying=1), TaskCounts(running=1)] * 100
    assert watch(looks, stall_s=0.05).ending is Ending.STALLED


def test_it_ends_at_its_deadline():
    assert watch([None], deadline_s=0.02).ending is Ending.DEADLINE


def test_it_ends_when_told_to():
    stop = threading.Event()
    stop.set()
    watching = Watch(count=lambda: ONE_OF_TWO, stop=stop)
    assert list(watching.run()) == [ONE_OF_TWO]
    assert watching.ending is Ending.INTERRUPTED


def test_statuses_that_nobody_knows_are_unfinished():
    counts = TaskCounts.of(["Completed", "FAILED", "queued", "pending"])
    assert (counts.ended, counts.unfinished, counts.total, counts.other) == (2, 2, 4, 1)
    assert counts.line() == "1 pending, 1 completed, 1 failed, 1 other"


def test_checks_of_a_foreign_server_say_what_differs():
    with serving(ForeignSystem()) as url:
        checks = {check.number: check for check in check_api(url)}
    assert len(checks) == NUMBER_OF_CHECKS
    assert all(checks[number].passed for number in (1, 6, 7, 8, 9, 10))
    # 200 with null for a user who is not there.
    assert (checks[11].passed, checks[11].status, checks[11].expected) == (False, 200, (404,))
    assert "expected 404, got 200" in checks[11].detail


@pytest.mark.parametrize("url", ["", "localhost:3000", "ftp://a", "http://", "http://a?b=c"])
def test_what_is_no_url_of_a_server_is_refused(url: str):
    with pytest.raises(UsageError, match="URL of a server"):
        Api(url)


def test_a_token_with_a_line_break_is_refused():
    with pytest.raises(UsageError, match="token"):
        Api("http://127.0.0.1:1", token="a\nb")


class Paging:
    """Has 250 tasks and shows at most `most` of them at once; refuses to be asked for more."""

    def __init__(self, most: int, *, refuses: bool = False, pages: bool = True) -> None:
        self.most = most
        self.refuses = refuses
        self.pages = pages

    def __call__(self, asked: str, _body: dict[str, object]) -> tuple[int, object]:
        limit, offset = (int(part.rpartition("=")[2]) for part in asked.split("&"))
        if self.refuses and limit > self.most:
            return 400, {"error": {"code": "VALIDATION_FAILED", "message": "limit"}}
        every = [{"id": str(number), "status": "pending"} for number in range(250)]
        shown = every[offset : offset + min(limit, self.most)] if self.pages else every
        return 200, {"success": True, "data": shown}


@pytest.mark.parametrize(
    "server",
    [Paging(1000), Paging(100), Paging(30), Paging(100, refuses=True), Paging(1, pages=False)],
    ids=["large pages", "shorter pages", "short pages", "refusal", "no pages"],
)
def test_every_task_is_seen_once_however_a_server_pages(server: Paging):
    with serving(server) as url, Api(f"{url}/api/v1/", token="t") as api:
        assert sorted(int(task.id) for task in api.tasks()) == list(range(250))
