"""The shape of every reply."""

import json
from datetime import datetime
from typing import Any

from starlette.responses import JSONResponse


class Reply(JSONResponse):
    """A JSON reply that can hold every value that psycopg returns."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401
        """Return the content as JSON in UTF-8, times in ISO format and other types by str()."""
        return json.dumps(content, default=_as_text, separators=(",", ":")).encode()


def success(data: object, message: str | None = None) -> Reply:
    """Return the reply with status 200 to a request that was served."""
    return Reply({"success": True, "data": data, "message": message})


def failure(status: int, code: str, message: str) -> Reply:
    """Return the reply to a request that was refused or failed."""
    return Reply({"error": {"code": code, "message": message}}, status_code=status)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
