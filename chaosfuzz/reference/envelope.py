"""The shape of every reply."""

import json
from typing import Any

from starlette.responses import JSONResponse


class ApiError(Exception):
    """A request that cannot be served, with the status and code that say why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Reply(JSONResponse):
    """JSON that never fails on what PostgreSQL has returned."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401
        """Write the content as UTF-8, times and ids as text."""
        return json.dumps(content, default=str, separators=(",", ":")).encode()


def success(data: object, message: str | None = None) -> Reply:
    """A reply to a request that was served."""
    return Reply({"success": True, "data": data, "message": message})


def failure(status: int, code: str, message: str) -> Reply:
    """A reply to a request that was not served."""
    return Reply({"error": {"code": code, "message": message}}, status_code=status)


def invalid(message: str) -> ApiError:
    """A value that is not allowed."""
    return ApiError(400, "VALIDATION_FAILED", message)


def task_not_found() -> ApiError:
    """No such task, or none in the state the request needs."""
    return ApiError(404, "TASK_NOT_FOUND", "no such task")
