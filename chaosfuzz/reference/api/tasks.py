"""Tasks: creating, finding, cancelling, retrying and deleting them; and their types."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import DictRow
from starlette.responses import Response

from chaosfuzz.reference import queue
from chaosfuzz.reference.api.envelope import success
from chaosfuzz.reference.api.operation import Access, Call, Group, NoInputCall, Services
from chaosfuzz.reference.api.shapes import NoInput, PageQuery, checked
from chaosfuzz.reference.api.task_shapes import (
    CreationHeaders,
    Task,
    TaskBody,
    TaskId,
    TaskQuery,
    TaskStats,
    TaskType,
    TypeBody,
)
from chaosfuzz.reference.api_error import ApiError, invalid, task_not_found
from chaosfuzz.reference.queue import NewTask

# Users reach their own tasks, moderators and admins the tasks of all: `Caller.sees_only`.
TASKS = Group("tasks")
TYPES = Group("task types")
TaskCall = Call[TaskBody, NoInput]


@TASKS.operation("POST", "/tasks", Task, headers=CreationHeaders, refusals=(409,))
async def create_task(call: TaskCall) -> Response:
    """Create a task, once for each idempotency key of yours."""
    task, settings = _new_task(call), call.services.settings
    # DEFECT respond-before-commit: the client has the reply before the task is inserted.
    if settings.has("respond-before-commit"):
        return success(await _create_later(call.services, task), "task created")
    return success(await call.run(queue.create, task, settings), "task created")


@TASKS.operation("GET", "/tasks", list[Task])
async def list_tasks(call: Call[NoInput, TaskQuery]) -> Response:
    """List tasks, newest first."""
    query = call.query
    wanted = {"task_type": query.task_type, "status": query.status, "priority": query.priority}
    return success(await _list(call, wanted, call.caller.sees_only))


@TASKS.operation("GET", "/tasks/dead-letter", list[Task])
async def list_dead_letters(call: Call[NoInput, PageQuery]) -> Response:
    """List failed tasks, newest first: those without attempts left."""
    wanted, owner = {"status": "failed"}, call.caller.sees_only
    # DEFECT dead-letters-filtered-after-paging: tasks of other users fill the page first.
    if call.services.settings.has("dead-letters-filtered-after-paging"):
        rows = await _list(call, wanted, None)
        return success([row for row in rows if owner in {None, str(row["created_by"])}])
    return success(await _list(call, wanted, owner))


@TASKS.operation("GET", "/tasks/stats", TaskStats, access=Access.MODERATOR)
async def task_stats(call: NoInputCall) -> Response:
    """Count the tasks in each status."""
    return success(await call.run(queue.stats))


@TASKS.operation("GET", "/tasks/{id}", Task, refusals=(404,))
async def get_task(call: NoInputCall) -> Response:
    """Return one task."""
    return success(await _existing(call))


@TASKS.operation("DELETE", "/tasks/{id}", TaskId, refusals=(404,))
async def delete_task(call: NoInputCall) -> Response:
    """Delete a task that is completed, failed or cancelled."""
    if not await call.run(queue.delete, call.target, call.caller.sees_only):
        raise task_not_found()
    return success({"id": call.target}, "task deleted")


@TASKS.operation("POST", "/tasks/{id}/cancel", Task, refusals=(404,))
async def cancel_task(call: NoInputCall) -> Response:
    """Cancel a task that is pending, retrying or running."""
    settings = call.services.settings
    row = await call.run(queue.cancel, call.target, call.caller.sees_only, settings)
    if row is None:
        row = await _existing(call)
        # DEFECT cancel-ignores-running: the reply reports success, the task is unchanged.
        ignored = settings.has("cancel-ignores-running") and row["status"] == "running"
        if not ignored:
            raise ApiError(400, "INVALID_INPUT", f"the task is {row['status']} already")
    return success(row, "task cancelled")


@TASKS.operation("POST", "/tasks/{id}/retry", Task, refusals=(404,))
async def retry_task(call: NoInputCall) -> Response:
    """Queue a failed task again, with all its attempts."""
    row = await call.run(queue.retry, call.target, call.caller.sees_only)
    if row is None:
        raise task_not_found()
    return success(row, "task queued again")


@TYPES.operation("GET", "/tasks/types", list[TaskType], access=Access.PUBLIC)
async def list_task_types(call: NoInputCall) -> Response:
    """List every registered task type."""
    return success(await call.run(queue.list_types))


@TYPES.operation("POST", "/tasks/types", TaskType, access=Access.MODERATOR)
async def register_task_type(call: Call[TypeBody, NoInput]) -> Response:
    """Register a task type, or change its description."""
    name, description = call.body.task_type, call.body.description
    await call.run(queue.register_type, name, description)
    return success({"task_type": name, "description": description}, "task type registered")


async def _existing(call: NoInputCall) -> DictRow:
    row = await call.run(queue.get, call.target, call.caller.sees_only)
    if row is None:
        raise task_not_found()
    return row


async def _list(
    call: Call[NoInput, Any], wanted: Mapping[str, str | None], owner: str | None
) -> list[DictRow]:
    limit, offset = call.query.limit, call.query.offset
    return await call.run(queue.list_tasks, wanted, limit, offset, owner)


async def _create_later(services: Services, task: NewTask) -> dict[str, Any]:
    await services.database.run(queue.check_new, task)
    new_id, now = str(uuid4()), datetime.now(UTC)
    writing = asyncio.create_task(_write(services, task, new_id))
    services.write_behind.add(writing)
    writing.add_done_callback(services.write_behind.discard)
    return dict.fromkeys(queue.COLUMNS.split(", ")) | {
        "id": new_id,
        "task_type": task.task_type,
        "priority": task.priority,
        "status": "pending",
        "current_attempt": 0,
        "metadata": task.metadata,
        "created_at": now,
        "updated_at": now,
        "scheduled_at": task.scheduled_at,
        "created_by": task.owner,
        "max_attempts": task.max_attempts or services.settings.max_attempts,
    }


async def _write(services: Services, task: NewTask, new_id: str) -> None:
    await asyncio.sleep(services.settings.write_behind_ms / 1000)
    try:
        await services.database.run(queue.create, task, services.settings, new_id)
    except (psycopg.Error, ApiError):
        return


def _new_task(call: TaskCall) -> NewTask:
    keys = call.request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise invalid("send the header Idempotency-Key only once")
    headers = checked(CreationHeaders, {"Idempotency-Key": keys[0]} if keys else {})
    body = call.body
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
