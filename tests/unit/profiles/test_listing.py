import pytest

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.task import Execution, TaskStatus
from chaosfuzz.targets.profiles.model import ListingProfile
from chaosfuzz.targets.profiles.observing import Listing

STATES = {"pending": ["todo"], "completed": ["ok"]}


def listing(deleted_means: str | None = None) -> Listing:
    profile = ListingProfile.model_validate(
        {"query": "", "states": STATES, "deleted_means": deleted_means}
    )
    return Listing(profile, "p.toml")


def run(token: str, result: str | None) -> Execution:
    return Execution(
        task_id=f"id-{token}",
        token=token,
        attempt=1,
        component="worker-1",
        pid=1,
        start_ns=0,
        end_ns=None if result is None else 1,
        result=result,
    )


def test_words_of_the_queue_become_states():
    row = {"id": 3, "token": "t", "status": "ok", "attempts": 2, "error": "e"}
    (state,) = listing().states([row], [])
    assert (state.task_id, state.token, state.status) == ("3", "t", TaskStatus.COMPLETED)
    assert (state.attempts, state.max_attempts, state.last_error) == (2, 0, "e")


def test_a_word_that_is_not_mapped_is_told_with_those_that_are():
    with pytest.raises(UsageError, match=r"p.toml.*'lost'.*todo, ok.*\nadd 'lost' to"):
        listing().states([{"id": 1, "status": "lost"}], [])


@pytest.mark.parametrize("row", [{"status": "ok"}, {"id": 1, "state": "ok"}])
def test_rows_without_status_or_name_are_refused(row: dict[str, object]):
    with pytest.raises(UsageError, match="not status and one of token and id"):
        listing().states([row], [])


def test_ids_are_known_by_what_creation_or_the_ledger_told():
    known = listing()
    known.accepted("a", "1")
    rows = [{"id": name, "status": "todo"} for name in ("1", "id-b", "3")]
    tokens = [state.token for state in known.states(rows, [run("b", None)])]
    assert tokens == ["a", "b", "unnamed:3"]
    assert known.ids() == {"a": "1", "b": "id-b"}


@pytest.mark.parametrize(
    ("means", "result", "status"),
    [
        (None, "finished", None),
        ("completed", "finished", TaskStatus.COMPLETED),
        ("completed", "failed", None),
        ("completed", None, None),
        ("done", "failed", TaskStatus.FAILED),
        ("done", "finished", TaskStatus.COMPLETED),
    ],
)
def test_a_row_that_is_gone_says_what_the_profile_says(
    means: str | None, result: str | None, status: TaskStatus | None
):
    known = listing(means)
    known.accepted("a", "id-a")
    known.states([{"id": "id-a", "status": "todo", "attempts": 1}], [])
    states = known.states([], [run("a", result)])
    assert [state.status for state in states] == ([] if status is None else [status])
    assert all((s.task_id, s.attempts) == ("id-a", 1) for s in states)


def test_a_task_deleted_before_it_was_ever_listed_is_done_all_the_same():
    known = listing("completed")
    known.accepted("a", None)
    (state,) = known.states([], [run("a", "finished")])
    assert state.status is TaskStatus.COMPLETED
    assert known.states([], []) == (), "nobody ran it: lost, and not done"
