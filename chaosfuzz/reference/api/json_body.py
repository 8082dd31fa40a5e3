"""Reading the body of a request as JSON that PostgreSQL can store."""

import asyncio
import contextlib
import json
import re
from typing import Any

from starlette.requests import ClientDisconnect, Request

from chaosfuzz.reference.api_error import unreadable

# A payload of 1 MiB, metadata of 64 KiB and the rest fit; the remainder was chosen by hand.
MAX_BODY_BYTES = 1_300_000
# Chosen by hand.
MAX_DEPTH = 64
MAX_DISCARDED_BYTES = 64_000_000
DISCARD_TIMEOUT_S = 2.0
_TOO_DEEP = f"the body is nested deeper than {MAX_DEPTH} levels"
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


async def read_object(request: Request) -> dict[str, Any]:
    """Read the body and return it as a JSON object.

    Raise ApiError (400) if the content type is another than JSON, if the body is too large, too
    deep or no JSON object, or if PostgreSQL cannot store a value in it. NUL characters pass.
    """
    _check_content_type(request)
    too_large = unreadable(f"the body is larger than {MAX_BODY_BYTES} bytes")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    try:
        value = json.loads(body.decode())
    except RecursionError:
        raise unreadable(_TOO_DEEP) from None
    except ValueError:
        raise unreadable("the body is not JSON") from None
    if not isinstance(value, dict):
        raise unreadable("the body is not a JSON object")
    _check_depth(value)
    _check_values(value)
    return value


async def discard(request: Request) -> None:
    """Read the rest of a body and forget it, so that a client that still sends sees the reply.

    Stop after MAX_DISCARDED_BYTES or DISCARD_TIMEOUT_S. If the client sent the header Expect,
    read nothing: it waits for the reply before it sends.
    """
    if request.headers.get("expect"):
        return
    left = MAX_DISCARDED_BYTES
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(DISCARD_TIMEOUT_S):
            async for part in request.stream():
                left -= len(part)
                if left < 0:
                    return


def size_bytes(value: object) -> int:
    """Return the length of the value as JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def has_nul(value: object) -> bool:
    """Return whether a string in the value has a NUL character, which PostgreSQL cannot store."""
    return bool(_NUL.search(json.dumps(value, ensure_ascii=False)))


def _check_content_type(request: Request) -> None:
    content_type = request.headers.get("content-type")
    if content_type is None:
        return
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise unreadable("the content type must be application/json")


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
    raise unreadable(_TOO_DEEP)


def _check_values(value: dict[str, Any]) -> None:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise unreadable("the body contains half of a surrogate pair") from None
    except ValueError:
        raise unreadable("the body contains a number that is not finite") from None
