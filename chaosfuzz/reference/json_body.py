"""Reading the body of a request as JSON that PostgreSQL can keep."""

import json
import re
from typing import Any

from starlette.requests import Request

from chaosfuzz.reference.envelope import ApiError

MAX_BODY_BYTES = 1_300_000
MAX_DEPTH = 64
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def _refused(message: str) -> ApiError:
    return ApiError(400, "INVALID_INPUT", message)


async def read_object(request: Request) -> dict[str, Any]:
    """Read the body as a JSON object; anything else is the client's mistake."""
    _check_content_type(request)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise _refused("the body is too large")
    try:
        value = json.loads(body)
    except RecursionError:
        raise _refused("the body is nested too deeply") from None
    except ValueError:
        raise _refused("the body is not JSON") from None
    if not isinstance(value, dict):
        raise _refused("the body is not a JSON object")
    _check_depth(value)
    _check_values(value)
    return value


def size_bytes(value: object) -> int:
    """The length of the value as JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def _check_content_type(request: Request) -> None:
    content_type = request.headers.get("content-type")
    if content_type is None:
        return
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise _refused("the content type must be application/json")


def _check_depth(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _refused("the body is nested too deeply")


def _check_values(value: dict[str, Any]) -> None:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:
        raise _refused("the body contains half of a surrogate pair") from None
    except ValueError:
        raise _refused("the body contains a number that is not finite") from None
    if _NUL.search(text):
        raise _refused("the body contains a NUL character")
