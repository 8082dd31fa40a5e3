"""Tasks: creating, finding, cancelling, retrying and deleting them."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import DictRow
from starlette.responses import Response

from chaosfuzz.reference import queue
from chaosfuzz.reference.api.envelope import success
from chaosfuzz.reference.api.operation import Access, AnyOperation, Call, Operation
from chaosfuzz.reference.api.shapes import NoInput, PageQuery, checked
from chaosfuzz.reference.api.task_shapes import (
    CreationHeaders,
    Task,
    TaskBody,
    TaskId,
    TaskQuery,
    TaskStats,
)
from chaosfuzz.reference.api_error import ApiError, invalid, task_not_found
from chaosfuzz.reference.database import Database
from chaosfuzz.reference.queue import NewTask, Page
from chaosfuzz.reference.settings import Settings

Nothing = Call[NoInput, NoInput]
_KEY = "idempotency-key"


class TaskOperations:
    """Users deal with their own tasks, moderators with all."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._write_behind: set[asyncio.Task[None]] = set()

    def operations(self) -> list[AnyOperation]:
        """Every operation."""
        return [*self._of_the_queue(), *self._of_one_task()]

    def _of_the_queue(self) -> list[AnyOperation]:
        return [
            Operation(
                method="POST",
                path="/tasks",
                name="create_task",
                summary="Create a task, once for each idempotency key of yours.",
                handler=self.create,
                body=TaskBody,
                query=NoInput,
                headers=CreationHeaders,
                data=Task,
                refusals=(409,),
                tag="tasks",
            ),
            Operation(
                method="GET",
                path="/tasks",
                name="list_tasks",
                summary="Tasks, newest first.",
                handler=self.newest,
                body=NoInput,
                query=TaskQuery,
                data=list[Task],
                tag="tasks",
            ),
            Operation(
                method="GET",
                path="/tasks/dead-letter",
                name="list_dead_letters",
                summary="Failed tasks, newest first; a task only fails for good.",
                handler=self.dead_letter,
                body=NoInput,
                query=PageQuery,
                data=list[Task],
                tag="tasks",
            ),
            Operation(
                method="GET",
                path="/tasks/stats",
                name="task_stats",
                summary="How many tasks there are in each status.",
                handler=self.stats,
                access=Access.MODERATOR,
                body=NoInput,
                query=NoInput,
                data=TaskStats,
                tag="tasks",
            ),
        ]

    def _of_one_task(self) -> list[AnyOperation]:
        def operation(
            method: str,
            path: str,
            name: str,
            summary: str,
            handler: Callable[[Nothing], Coroutine[Any, Any, Response]],
            data: Any = Task,  # noqa: ANN401
        ) -> AnyOperation:
            return Operation(
                method=method,
                path=path,
                name=name,
                summary=summary,
                handler=handler,
                body=NoInput,
                query=NoInput,
                data=data,
                refusals=(404,),
                tag="tasks",
            )

        one = "/tasks/{id}"
        return [
            operation("GET", one, "get_task", "One task.", self.get),
            operation("DELETE", one, "delete_task", "Delete an ended task.", self.delete, TaskId),
            operation("POST", f"{one}/cancel", "cancel_task", "Cancel an open task.", self.cancel),
            operation("POST", f"{one}/retry", "retry_task", "Queue a failed task.", self.retry),
        ]

    async def create(self, call: Call[TaskBody, NoInput]) -> Response:
        """Create a task, once for each idempotency key."""
        task = _new_task(call)
        # DEFECT respond-before-commit: the client is told before the database is.
        if self._settings.has("respond-before-commit"):
            return success(await self._create_later(task), "task created")
        row = await self._database.run(lambda each: queue.create(each, task, self._settings))
        return success(row, "task created")

    async def newest(self, call: Call[NoInput, TaskQuery]) -> Response:
        """Tasks, newest first."""
        return success(await self._list(call, call.query.conditions(), call.caller.sees_only))

    async def dead_letter(self, call: Call[NoInput, PageQuery]) -> Response:
        """Failed tasks; a task only fails when it has no attempts left."""
        failed = {"status": "failed"}
        # DEFECT dead-letters-filtered-after-paging: others' tasks fill the page and are left out.
        if self._settings.has("dead-letters-filtered-after-paging"):
            rows = await self._list(call, failed, None)
            owner = call.caller.sees_only
            return success([r for r in rows if owner in {None, str(r["created_by"])}])
        return success(await self._list(call, failed, call.caller.sees_only))

    async def stats(self, _call: Nothing) -> Response:
        """How many tasks there are in each status."""
        return success(await self._database.run(queue.stats))

    async def get(self, call: Nothing) -> Response:
        """One task."""
        return success(await self._find(call))

    async def cancel(self, call: Nothing) -> Response:
        """Cancel a task that has not ended."""
        wanted, owner = call.target, call.caller.sees_only
        row = await self._database.run(
            lambda each: queue.cancel(each, wanted, owner, self._settings)
        )
        if row is None:
            row = await self._find(call)
            # DEFECT cancel-ignores-running: success is reported and nothing is changed.
            ignored = self._settings.has("cancel-ignores-running") and row["status"] == "running"
            if not ignored:
                raise ApiError(400, "INVALID_INPUT", f"the task is {row['status']} already")
        return success(row, "task cancelled")

    async def retry(self, call: Nothing) -> Response:
        """Queue a failed task anew."""
        wanted, owner = call.target, call.caller.sees_only
        row = await self._database.run(lambda each: queue.retry(each, wanted, owner))
        if row is None:
            raise task_not_found()
        return success(row, "task queued again")

    async def delete(self, call: Nothing) -> Response:
        """Delete a task that has ended."""
        wanted, owner = call.target, call.caller.sees_only
        if not await self._database.run(lambda each: queue.delete(each, wanted, owner)):
            raise task_not_found()
        return success({"id": wanted}, "task deleted")

    async def _find(self, call: Nothing) -> DictRow:
        wanted, owner = call.target, call.caller.sees_only
        row = await self._database.run(lambda each: queue.get(each, wanted, owner))
        if row is None:
            raise task_not_found()
        return row

    async def _list(
        self, call: Call[NoInput, Any], conditions: dict[str, str], owner: str | None
    ) -> list[DictRow]:
        page = Page(limit=call.query.limit, offset=call.query.offset)
        return await self._database.run(
            lambda each: queue.list_tasks(each, conditions, page, owner)
        )

    async def _create_later(self, task: NewTask) -> dict[str, Any]:
        await self._database.run(lambda each: queue.check_new(each, task))
        new_id, now = str(uuid4()), datetime.now(UTC)
        writing = asyncio.create_task(self._write(task, new_id))
        self._write_behind.add(writing)
        writing.add_done_callback(self._write_behind.discard)
        values = dict.fromkeys(queue.COLUMNS.split(", "))
        values |= {"id": new_id, "task_type": task.task_type, "priority": task.priority}
        values |= {"status": "pending", "current_attempt": 0, "metadata": task.metadata}
        values |= {"created_at": now, "updated_at": now, "scheduled_at": task.scheduled_at}
        values |= {"created_by": task.owner}
        return values | {"max_attempts": task.max_attempts or self._settings.max_attempts}

    async def _write(self, task: NewTask, new_id: str) -> None:
        await asyncio.sleep(self._settings.write_behind_ms / 1000)
        try:
            await self._database.run(lambda each: queue.create(each, task, self._settings, new_id))
        except (psycopg.Error, ApiError):
            return


def _new_task(call: Call[TaskBody, NoInput]) -> NewTask:
    keys = call.request.headers.getlist(_KEY)
    if len(keys) > 1:
        message = "the idempotency key may be given only once"
        raise invalid(message)
    body = call.body
    given = {"Idempotency-Key": keys[0]} if keys else {}
    headers = checked(CreationHeaders, given)
    return NewTask(
        task_type=body.task_type,
        payload=body.payload,
        priority=body.priority or "normal",
        scheduled_at=body.scheduled_at,
        metadata=body.metadata,
        max_attempts=body.max_attempts,
        retry_strategy=body.retry_strategy or {"kind": "exponential"},
        idempotency_key=headers.idempotency_key or None,
        owner=call.caller.user_id,
    )
