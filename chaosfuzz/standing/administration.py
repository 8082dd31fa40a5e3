"""An administrator's commands, which use the job system's database and not its API."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import psycopg
from pydantic import TypeAdapter

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.task_counts import TaskCounts
from chaosfuzz.reference import queue
from chaosfuzz.reference.admin import clear_completed
from chaosfuzz.reference.database import Connection, connect

STATUSES = tuple(queue.STATUSES)
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task's row in the database."""

    id: UUID
    task_type: str
    status: str
    priority: str
    current_attempt: int
    max_attempts: int
    created_at: datetime
    completed_at: datetime | None
    last_error: str | None
    metadata: Mapping[str, object] | None


_ROWS = TypeAdapter(tuple[TaskRow, ...])


class Administration:
    """Commands on one database, each over a connection of its own.

    Each raises InfrastructureError if the database does not answer, and UsageError if the
    connection string is malformed or the database has no job system's tables.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def task_stats(self, tag: str | None = None) -> TaskCounts:
        """Count tasks by status, only those with the tag if one is given."""
        numbers = self._run(lambda connection: queue.stats(connection, tag))
        numbers.pop("total", None)
        return TaskCounts.by_status(numbers)

    def list_tasks(
        self, *, status: str | None, task_type: str | None, limit: int
    ) -> tuple[TaskRow, ...]:
        """Return at most `limit` tasks, newest first; None selects any status or type."""
        filters = {"status": status, "task_type": task_type}
        rows = self._run(lambda connection: queue.list_tasks(connection, filters, limit))
        return _ROWS.validate_python(rows)

    def clear_completed(self, *, older_than_days: float, dry_run: bool) -> int:
        """Delete the tasks completed over so many days ago; return how many.

        `dry_run` only counts them.
        """
        return self._run(
            lambda connection: clear_completed(
                connection, older_than_days=older_than_days, dry_run=dry_run
            )
        )

    def _run(self, operation: Callable[[Connection], Awaitable[Result]]) -> Result:
        async def perform() -> Result:
            async with await connect(self._dsn) as connection:
                return await operation(connection)

        try:
            return asyncio.run(perform())
        except psycopg.ProgrammingError as error:
            raise UsageError(
                cause=(
                    f"--dsn {self._dsn!r} is not the connection string of a job system's database: "
                    f"{' '.join(str(error).split())}"
                ),
                remedy="name the job system's database with --dsn",
            ) from error
        except psycopg.Error as error:
            raise InfrastructureError(
                cause=f"the database does not answer: {' '.join(str(error).split())}",
                remedy="start it (chaosfuzz service db-start) or name another with --dsn",
            ) from error
