"""Turns the rows of a profile's tasks.query into tasks."""

from collections.abc import Mapping, Sequence

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.task import Execution, TaskState, TaskStatus
from chaosfuzz.targets.profiles.model import ListingProfile

# Begins the token of a listed task whose token is unknown.
UNNAMED = "unnamed:"
Row = Mapping[str, object]


class Listing:
    """The tasks of one run: maps rows to them, and remembers those whose rows were deleted.

    `origin` names the profile in errors.
    """

    def __init__(self, profile: ListingProfile, origin: str) -> None:
        self._profile = profile
        self._origin = origin
        self._token_by_id: dict[str, str] = {}
        self._seen: dict[str, TaskState] = {}
        self._accepted: dict[str, str] = {}

    def accepted(self, token: str, task_id: str | None) -> None:
        """Note that the queue accepted a task, and its id if the answer held one."""
        self._accepted[token] = task_id or ""
        if task_id:
            self._token_by_id[task_id] = token

    def ids(self) -> dict[str, str]:
        """Return the queue's id of each token whose id is known."""
        return {token: task_id for task_id, token in self._token_by_id.items()}

    def states(self, rows: Sequence[Row], executions: Sequence[Execution]) -> tuple[TaskState, ...]:
        """Return a task for each row, and for each deleted row that deleted_means explains.

        `executions` supply ids that neither creation nor a row told.

        Raises UsageError if a row lacks a column, or has a status that tasks.states does not map.
        """
        for execution in executions:
            if execution.task_id and execution.task_id != execution.token:
                self._token_by_id.setdefault(execution.task_id, execution.token)
        states = [self._state(row) for row in rows]
        for state in states:
            if not state.token.startswith(UNNAMED):
                self._seen[state.token] = state
        if self._profile.deleted_means is not None:
            listed = {state.token for state in states}
            for token in [t for t in {**self._accepted, **self._seen} if t not in listed]:
                deleted = self._deleted(token, executions)
                states += [deleted] if deleted is not None else []
        return tuple(states)

    def _state(self, row: Row) -> TaskState:
        if "status" not in row or not ("id" in row or "token" in row):
            raise UsageError(
                cause=(
                    f"{self._origin}: tasks.query returns the columns {', '.join(row)}, but not "
                    "status and one of token and id"
                ),
                remedy="name these columns in the query",
            )
        word = str(row["status"])
        status = self._profile.states.get(word)
        if status is None:
            raise UsageError(
                cause=(
                    f"{self._origin}: a task has the status {word!r}, which tasks.states does not "
                    f"map (it has {', '.join(self._profile.states)})"
                ),
                remedy=f"add {word!r} to a state in tasks.states",
            )
        task_id = str(row["id"]) if row.get("id") is not None else ""
        token = str(row["token"]) if row.get("token") is not None else ""
        if task_id and token:
            self._token_by_id[task_id] = token
        token = token or self._token_by_id.get(task_id, f"{UNNAMED}{task_id}")
        return TaskState(
            task_id=task_id or token,
            token=token,
            status=status,
            attempts=int(str(row.get("attempts") or 0)),
            max_attempts=int(str(row.get("max_attempts") or 0)),
            last_error=str(row.get("error") or ""),
        )

    def _deleted(self, token: str, executions: Sequence[Execution]) -> TaskState | None:
        """Return a task without a row as completed or failed, by its executions.

        A finished execution means completed. With deleted_means = "done" an execution that ended
        otherwise means failed. Return None in all other cases: the task is lost.
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
