"""The application: every operation with what it needs, and what becomes of errors."""

import psycopg
from psycopg import errors
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Router

from chaosfuzz.reference.api.auth import AuthOperations
from chaosfuzz.reference.api.dispatch import Dispatcher
from chaosfuzz.reference.api.documents import Documents
from chaosfuzz.reference.api.envelope import failure
from chaosfuzz.reference.api.health import HealthOperations
from chaosfuzz.reference.api.operation import AnyOperation
from chaosfuzz.reference.api.origin_form import OriginForm
from chaosfuzz.reference.api.task_types import TypeOperations
from chaosfuzz.reference.api.tasks import TaskOperations
from chaosfuzz.reference.api.user_administration import UserAdministration
from chaosfuzz.reference.api.users import UserOperations
from chaosfuzz.reference.api_error import ApiError
from chaosfuzz.reference.database import Database
from chaosfuzz.reference.passwords import Passwords
from chaosfuzz.reference.settings import Settings

PREFIX = "/api/v1"


def build_application(settings: Settings, database: Database, passwords: Passwords) -> Starlette:
    """The application for one database."""
    every = operations(settings, database, passwords)
    routes = [*Dispatcher(database).routes(every, PREFIX), *Documents(every, PREFIX).routes()]
    application = Starlette(
        middleware=[Middleware(OriginForm)],
        exception_handlers={
            ApiError: _on_api_error,
            HTTPException: _on_http_error,
            psycopg.OperationalError: _on_outage,
            psycopg.DataError: _on_bad_data,
            errors.ForeignKeyViolation: _on_vanished,
            psycopg.Error: _on_database_error,
            ClientDisconnect: _on_disconnect,
            Exception: _on_error,
        },
    )
    application.router = Router(routes, redirect_slashes=False)
    return application


def operations(
    settings: Settings, database: Database, passwords: Passwords
) -> tuple[AnyOperation, ...]:
    """Every operation there is, in the order of the document."""
    return (
        *HealthOperations(database, settings).operations(),
        *AuthOperations(database, passwords).operations(),
        *UserOperations(database, passwords).operations(),
        *UserAdministration(database, passwords).operations(),
        *TaskOperations(database, settings).operations(),
        *TypeOperations(database).operations(),
    )


async def _on_api_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    reply = failure(error.status, error.code, error.message)
    if error.status == 401:
        reply.headers["WWW-Authenticate"] = "Bearer"
    return reply


async def _on_http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return failure(404, "NOT_FOUND", "there is nothing at this path; see /api-docs")
    reply = failure(error.status_code, "INVALID_INPUT", str(error.detail))
    reply.headers.update(error.headers or {})
    return reply


async def _on_outage(_request: Request, _error: Exception) -> Response:
    return failure(503, "SERVICE_UNAVAILABLE", "the database is not available")


async def _on_bad_data(_request: Request, _error: Exception) -> Response:
    return failure(400, "INVALID_INPUT", "the database cannot represent a value in the request")


async def _on_vanished(_request: Request, _error: Exception) -> Response:
    return failure(409, "CONFLICT", "what the request refers to has just been deleted")


async def _on_database_error(_request: Request, _error: Exception) -> Response:
    return failure(500, "DATABASE_ERROR", "the database refused the request")


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return failure(400, "INVALID_INPUT", "the request ended early")


async def _on_error(_request: Request, _error: Exception) -> Response:
    return failure(500, "INTERNAL_ERROR", "internal error")
