"""The routes under /tasks."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import DictRow
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaosfuzz.reference import queue
from chaosfuzz.reference.database import Database
from chaosfuzz.reference.envelope import ApiError, invalid, success, task_not_found
from chaosfuzz.reference.json_body import read_object
from chaosfuzz.reference.settings import Settings
from chaosfuzz.reference.task_request import (
    NewTask,
    filters,
    page,
    read_new_task,
    task_id,
    type_name,
)

MAX_DESCRIPTION_LENGTH = 4096


class TaskRoutes:
    """Requests about tasks; whoever may ask has been settled before they get here."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._write_behind: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """Every route; the fixed paths come before the one that matches any id."""
        return [
            Route("/tasks", self.create, methods=["POST"]),
            Route("/tasks", self.list, methods=["GET"]),
            Route("/tasks/stats", self.stats, methods=["GET"]),
            Route("/tasks/dead-letter", self.dead_letter, methods=["GET"]),
            Route("/tasks/types", self.types, methods=["GET"]),
            Route("/tasks/types", self.register_type, methods=["POST"]),
            Route("/tasks/{task_id}", self.get, methods=["GET"]),
            Route("/tasks/{task_id}", self.delete, methods=["DELETE"]),
            Route("/tasks/{task_id}/cancel", self.cancel, methods=["POST"]),
            Route("/tasks/{task_id}/retry", self.retry, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Create a task, once for each idempotency key."""
        task = await read_new_task(request)
        # DEFECT respond-before-commit: the client is told before the database is.
        if self._settings.has("respond-before-commit"):
            return success(await self._create_later(task), "task created")
        row = await self._database.run(lambda each: queue.create(each, task, self._settings))
        return success(row, "task created")

    async def list(self, request: Request) -> Response:
        """Tasks, newest first."""
        conditions, (limit, offset) = filters(request.query_params), page(request.query_params)
        return success(await self._list(conditions, limit, offset))

    async def dead_letter(self, request: Request) -> Response:
        """Failed tasks; a task only fails when it has no attempts left."""
        limit, offset = page(request.query_params)
        return success(await self._list({"status": "failed"}, limit, offset))

    async def stats(self, _request: Request) -> Response:
        """How many tasks there are in each status."""
        return success(await self._database.run(queue.stats))

    async def get(self, request: Request) -> Response:
        """One task."""
        return success(await self._find(task_id(request)))

    async def cancel(self, request: Request) -> Response:
        """Cancel a task that has not ended."""
        wanted = task_id(request)
        row = await self._database.run(lambda each: queue.cancel(each, wanted, self._settings))
        if row is None:
            row = await self._find(wanted)
            # DEFECT cancel-ignores-running: success is reported and nothing is changed.
            ignored = self._settings.has("cancel-ignores-running") and row["status"] == "running"
            if not ignored:
                raise ApiError(400, "INVALID_INPUT", f"the task is {row['status']} already")
        return success(row, "task cancelled")

    async def retry(self, request: Request) -> Response:
        """Queue a failed task anew."""
        wanted = task_id(request)
        row = await self._database.run(lambda each: queue.retry(each, wanted))
        if row is None:
            raise task_not_found()
        return success(row, "task queued again")

    async def delete(self, request: Request) -> Response:
        """Delete a task that has ended."""
        wanted = task_id(request)
        if not await self._database.run(lambda each: queue.delete(each, wanted)):
            raise task_not_found()
        return success({"id": wanted}, "task deleted")

    async def types(self, _request: Request) -> Response:
        """Every registered task type."""
        return success(await self._database.run(queue.list_types))

    async def register_type(self, request: Request) -> Response:
        """Register a task type or change its description."""
        body = await read_object(request)
        name = type_name(body.get("task_type"))
        description = body.get("description", "")
        if not isinstance(description, str) or len(description) > MAX_DESCRIPTION_LENGTH:
            message = "description must be text of at most 4096 characters"
            raise invalid(message)
        await self._database.run(lambda each: queue.register_type(each, name, description))
        return success({"task_type": name, "description": description}, "task type registered")

    async def _find(self, wanted: str) -> DictRow:
        row = await self._database.run(lambda each: queue.get(each, wanted))
        if row is None:
            raise task_not_found()
        return row

    async def _list(self, conditions: dict[str, str], limit: int, offset: int) -> object:
        return await self._database.run(
            lambda each: queue.list_tasks(each, conditions, limit, offset)
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
        return values | {"max_attempts": task.max_attempts or self._settings.max_attempts}

    async def _write(self, task: NewTask, new_id: str) -> None:
        await asyncio.sleep(self._settings.write_behind_ms / 1000)
        try:
            await self._database.run(lambda each: queue.create(each, task, self._settings, new_id))
        except (psycopg.Error, ApiError):
            return
