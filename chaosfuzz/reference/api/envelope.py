"""The shape of every reply."""

import json
from datetime import datetime
from typing import Any

from starlette.responses import JSONResponse


class Reply(JSONResponse):
    """JSON that never fails on what PostgreSQL has returned."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401
        """Write the content as UTF-8, times in ISO format and ids as text."""
        return json.dumps(content, default=_as_text, separators=(",", ":")).encode()


def success(data: object, message: str | None = None) -> Reply:
    """A reply to a request that was served."""
    return Reply({"success": True, "data": data, "message": message})


def failure(status: int, code: str, message: str) -> Reply:
    """A reply to a request that was not served."""
    return Reply({"error": {"code": code, "message": message}}, status_code=status)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
