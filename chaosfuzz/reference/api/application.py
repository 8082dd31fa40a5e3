"""The ASGI application: a route for every operation, and a reply for every error."""

from collections.abc import Awaitable, Callable

import psycopg
from psycopg import errors
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Router

from chaosfuzz.reference.api.auth import AUTH
from chaosfuzz.reference.api.dispatch import routes
from chaosfuzz.reference.api.documents import document_routes
from chaosfuzz.reference.api.envelope import failure
from chaosfuzz.reference.api.health import HEALTH
from chaosfuzz.reference.api.operation import Services
from chaosfuzz.reference.api.origin_form import OriginForm
from chaosfuzz.reference.api.tasks import TASKS, TYPES
from chaosfuzz.reference.api.users import ADMINISTRATION, USERS
from chaosfuzz.reference.api_error import ApiError

PREFIX = "/api/v1"
# In the order of the document.
GROUPS = (HEALTH, AUTH, USERS, ADMINISTRATION, TASKS, TYPES)
OPERATIONS = tuple(operation for group in GROUPS for operation in group.operations)


def build_application(services: Services) -> Starlette:
    """Return the application that serves all operations and the documents about them."""

    def always(status: int, code: str, message: str) -> Callable[..., Awaitable[Response]]:
        async def reply(_request: Request, _error: Exception) -> Response:
            return failure(status, code, message)

        return reply

    application = Starlette(
        middleware=[Middleware(OriginForm)],
        exception_handlers={
            ApiError: _on_api_error,
            HTTPException: _on_http_error,
            psycopg.OperationalError: always(
                503, "SERVICE_UNAVAILABLE", "the database is not available; try again later"
            ),
            psycopg.DataError: always(
                400, "INVALID_INPUT", "the database cannot represent a value in the request"
            ),
            errors.ForeignKeyViolation: always(
                409, "CONFLICT", "the user or task type of the request has just been deleted"
            ),
            psycopg.Error: always(500, "DATABASE_ERROR", "the database refused the request"),
            ClientDisconnect: always(400, "INVALID_INPUT", "the request ended early"),
            Exception: always(500, "INTERNAL_ERROR", "internal error"),
        },
    )
    served = [*routes(OPERATIONS, services, PREFIX), *document_routes(OPERATIONS, PREFIX)]
    application.router = Router(served, redirect_slashes=False)
    return application


async def _on_api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    reply = failure(error.status, error.code, error.message)
    if error.status == 401:
        reply.headers["WWW-Authenticate"] = "Bearer"
    return reply


async def _on_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return failure(404, "NOT_FOUND", "there is nothing at this path; see /api-docs")
    reply = failure(error.status_code, "INVALID_INPUT", str(error.detail))
    reply.headers.update(error.headers or {})
    return reply
