"""From a request to an operation: find the caller, check role and input, call the handler."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

import psycopg
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from chaosfuzz.reference import sessions
from chaosfuzz.reference.api.envelope import failure
from chaosfuzz.reference.api.json_body import discard, read_object
from chaosfuzz.reference.api.operation import Access, AnyOperation, Call, Services
from chaosfuzz.reference.api.shapes import UUID_PATTERN, checked
from chaosfuzz.reference.api_error import ApiError, forbidden, invalid, unauthorized, unreadable
from chaosfuzz.reference.sessions import Caller

Endpoint = Callable[[Request], Awaitable[Response]]
_UUID = re.compile(UUID_PATTERN)
_BEARER = re.compile(r"bearer +([!-~]+) *", re.IGNORECASE)


class Resource:
    """All methods of one path as an ASGI application, so that 405 can name all of them."""

    def __init__(self, methods: Mapping[str, Endpoint]) -> None:
        self._methods = {**methods, "HEAD": methods["GET"]} if "GET" in methods else dict(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by its method, or with 405."""
        request = Request(scope, receive)
        endpoint = self._methods.get(request.method)
        if endpoint is None:
            await discard(request)
            allowed = ", ".join(self._methods)
            reply: Response = failure(405, "INVALID_INPUT", f"the methods here are {allowed}")
            reply.headers["Allow"] = allowed
        else:
            reply = await endpoint(request)
        await reply(scope, receive, send)


def routes(operations: Iterable[AnyOperation], services: Services, prefix: str) -> list[Route]:
    """Return one route for each path; fixed paths come before those with an id."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for operation in sorted(operations, key=lambda each: "{" in each.path):
        endpoint = partial(_serve, operation, services)
        by_path.setdefault(operation.path, {})[operation.method] = endpoint
    return [Route(prefix + path, Resource(methods)) for path, methods in by_path.items()]


async def _serve(operation: AnyOperation, services: Services, request: Request) -> Response:
    try:
        return await operation.handler(await _checked_call(operation, services, request))
    except (ApiError, psycopg.Error):
        await discard(request)
        raise


async def _checked_call(
    operation: AnyOperation, services: Services, request: Request
) -> Call[Any, Any]:
    # The body is read last: the server accepts none from callers without the role.
    caller: Caller | None = None
    if operation.access > Access.PUBLIC:
        caller = await _authenticate(services, request)
        if caller.role < operation.access:
            raise forbidden(f"this needs the role {operation.access.name.lower()} or above")
    return Call(
        request=request,
        services=services,
        known_caller=caller,
        target=_target(request),
        query=checked(operation.query, _once_each(request.query_params)),
        body=checked(operation.body, await read_object(request) if operation.has_body else {}),
    )


async def _authenticate(services: Services, request: Request) -> Caller:
    given = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if given is None or len(given[1]) > sessions.MAX_TOKEN_LENGTH:
        raise unauthorized(
            "send the header Authorization: Bearer TOKEN, with the token from a login"
        )
    return await services.database.run(sessions.find_caller, given[1])


def _target(request: Request) -> str:
    text = request.path_params.get("id")
    if text is None:
        return ""
    if not _UUID.fullmatch(text):
        raise unreadable("the id in the path must be a UUID")
    return str(text).lower()


def _once_each(query: QueryParams) -> dict[str, str]:
    values = dict(query)
    if len(query.multi_items()) > len(values):
        raise invalid("give each query parameter only once")
    return values
