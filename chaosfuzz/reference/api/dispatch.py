"""From a request to an operation: who asks, may they, what exactly do they ask."""

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
from chaosfuzz.reference.api.operation import Access, AnyOperation, Call
from chaosfuzz.reference.api.shapes import UUID_PATTERN, checked
from chaosfuzz.reference.api_error import ApiError, forbidden, invalid, unauthorized, unreadable
from chaosfuzz.reference.database import Database
from chaosfuzz.reference.sessions import Caller

_UUID = re.compile(UUID_PATTERN)
_BEARER = re.compile(r"bearer +([!-~]+) *", re.IGNORECASE)


class Dispatcher:
    """Serves operations; nothing of a body is read before it is known who sent it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def routes(self, operations: Iterable[AnyOperation], prefix: str) -> list[Route]:
        """Return one route for each path; fixed paths come before those with an id."""
        by_path: dict[str, dict[str, Endpoint]] = {}
        for operation in sorted(operations, key=lambda each: "{" in each.path):
            endpoint = partial(self._serve, operation)
            by_path.setdefault(operation.path, {})[operation.method] = endpoint
        return [Route(prefix + path, Resource(methods)) for path, methods in by_path.items()]

    async def _serve(self, operation: AnyOperation, request: Request) -> Response:
        try:
            call = await self._call(operation, request)
            return await operation.handler(call)
        except (ApiError, psycopg.Error):
            await discard(request)
            raise

    async def _call(self, operation: AnyOperation, request: Request) -> Call[Any, Any]:
        caller: Caller | None = None
        if operation.access > Access.PUBLIC:
            caller = await self._authenticate(request)
            if caller.role < operation.access:
                message = f"this needs the role {operation.access.name.lower()} or above"
                raise forbidden(message)
        return Call(
            request=request,
            known_caller=caller,
            target=_target(request),
            query=checked(operation.query, _once_each(request.query_params)),
            body=checked(operation.body, await read_object(request) if operation.has_body else {}),
        )

    async def _authenticate(self, request: Request) -> Caller:
        given = _BEARER.fullmatch(request.headers.get("authorization", ""))
        if given is None or len(given[1]) > sessions.MAX_TOKEN_LENGTH:
            message = "send the header Authorization: Bearer TOKEN, with the token from a login"
            raise unauthorized(message)
        return await self._database.run(lambda each: sessions.find_caller(each, given[1]))


Endpoint = Callable[[Request], Awaitable[Response]]


class Resource:
    """All methods of one path, as an ASGI application: so that 405 can name every one of them."""

    def __init__(self, methods: Mapping[str, Endpoint]) -> None:
        self._methods = {**methods, "HEAD": methods["GET"]} if "GET" in methods else dict(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by its method."""
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


def _target(request: Request) -> str:
    text = request.path_params.get("id")
    if text is None:
        return ""
    if not _UUID.fullmatch(text):
        message = "the id must be a UUID"
        raise unreadable(message)
    return str(text).lower()


def _once_each(query: QueryParams) -> dict[str, str]:
    values = dict(query)
    if len(query.multi_items()) > len(values):
        message = "a query parameter may be given only once"
        raise invalid(message)
    return values
