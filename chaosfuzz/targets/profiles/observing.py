"""What the rows of a profile's query say of tasks."""

from collections.abc import Mapping, Sequence

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.task import Execution, TaskState, TaskStatus
from chaosfuzz.targets.profiles.model import ListingProfile

UNNAMED = "unnamed:"
Row = Mapping[str, object]


class Listing:
    """Maps rows to tasks: words to states, ids to tokens, and what is no longer there."""

    def __init__(self, profile: ListingProfile, origin: str) -> None:
        self._profile = profile
        self._origin = origin
        # What creation or the ledger told, by either name.
        self._token_of: dict[str, str] = {}
        self._seen: dict[str, TaskState] = {}
        self._accepted: dict[str, str] = {}

    def accepted(self, token: str, task_id: str | None) -> None:
        """Take note that the queue has taken a task, under this id if it told one."""
        self._accepted[token] = task_id or ""
        if task_id:
            self._token_of[task_id] = token

    def ids(self) -> dict[str, str]:
        """Return the queue's ids of tokens, as far as they are known."""
        return {token: task_id for task_id, token in self._token_of.items()}

    def states(self, rows: Sequence[Row], executions: Sequence[Execution]) -> tuple[TaskState, ...]:
        """Return the tasks that the rows show, and those that are done and gone."""
        for execution in executions:
            if execution.task_id and execution.task_id != execution.token:
                self._token_of.setdefault(execution.task_id, execution.token)
        states = [self._state(row) for row in rows]
        for state in states:
            if not state.token.startswith(UNNAMED):
                self._seen[state.token] = state
        if self._profile.deleted_means is not None:
            there = {state.token for state in states}
            for token in [t for t in {**self._accepted, **self._seen} if t not in there]:
                gone = self._gone(token, executions)
                states += [gone] if gone is not None else []
        return tuple(states)

    def _state(self, row: Row) -> TaskState:
        if "status" not in row or not ("id" in row or "token" in row):
            there = ", ".join(row)
            message = (
                f"{self._origin}: tasks.query gives {there}, but not status and one of token and id"
            )
            raise UsageError(cause=message, remedy="name these columns in the query")
        word = str(row["status"])
        status = self._profile.states.get(word)
        if status is None:
            known = ", ".join(self._profile.states)
            message = (
                f"{self._origin}: the queue says {word!r}, which tasks.states does not map "
                f"(it has {known})"
            )
            raise UsageError(cause=message, remedy="add it to a state")
        task_id = str(row["id"]) if row.get("id") is not None else ""
        token = str(row["token"]) if row.get("token") is not None else ""
        if task_id and token:
            self._token_of[task_id] = token
        token = token or self._token_of.get(task_id, f"{UNNAMED}{task_id}")
        return TaskState(
            task_id=task_id or token,
            token=token,
            status=status,
            attempts=int(str(row.get("attempts") or 0)),
            max_attempts=int(str(row.get("max_attempts") or 0)),
            last_error=str(row.get("error") or ""),
        )

    def _gone(self, token: str, executions: Sequence[Execution]) -> TaskState | None:
        """Return the end of a task whose row is gone; None if nothing says that it had one.

        A row that is deleted before any run ended is a task that is lost.
        """
        runs = [e for e in executions if e.token == token]
        status = None
        if any(e.finished for e in runs):
            status = TaskStatus.COMPLETED
        elif self._profile.deleted_means == "done" and any(e.end_ns is not None for e in runs):
            status = TaskStatus.FAILED
        if status is None:
            return None
        before = self._seen.get(token)
        return TaskState(
            task_id=before.task_id if before else self._accepted.get(token) or token,
            token=token,
            status=status,
            attempts=before.attempts if before else 0,
            max_attempts=before.max_attempts if before else 0,
        )
