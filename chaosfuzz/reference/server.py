"""The server process: the HTTP API on a socket it has bound itself."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import psycopg
import uvicorn
import uvicorn.lifespan.off
import uvicorn.protocols.http.h11_impl
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Router

from chaosfuzz.reference.database import Database
from chaosfuzz.reference.envelope import ApiError, failure
from chaosfuzz.reference.health_routes import HealthRoutes
from chaosfuzz.reference.process import (
    ENVIRONMENT_FAILED,
    Notices,
    announce_ready,
    one_line,
    quieten_driver,
)
from chaosfuzz.reference.settings import Settings
from chaosfuzz.reference.task_routes import TaskRoutes

BACKLOG = 512
PREFIX = "/api/v1"


def build_application(settings: Settings, database: Database) -> Starlette:
    """The application; authentication would be middleware here, before any body is read."""
    routes = HealthRoutes(database, settings).routes() + TaskRoutes(database, settings).routes()
    return Starlette(
        routes=[Mount(PREFIX, app=Router(routes, redirect_slashes=False))],
        exception_handlers={
            ApiError: _on_api_error,
            HTTPException: _on_http_error,
            psycopg.OperationalError: _on_outage,
            psycopg.DataError: _on_bad_data,
            psycopg.Error: _on_database_error,
            ClientDisconnect: _on_disconnect,
            Exception: _on_error,
        },
    )


async def _on_api_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return failure(error.status, error.code, error.message)


async def _on_http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = "NOT_FOUND" if error.status_code == 404 else "INVALID_INPUT"
    reply = failure(error.status_code, code, str(error.detail))
    reply.headers.update(error.headers or {})
    return reply


async def _on_outage(_request: Request, _error: Exception) -> Response:
    return failure(503, "SERVICE_UNAVAILABLE", "the database is not available")


async def _on_bad_data(_request: Request, _error: Exception) -> Response:
    return failure(400, "INVALID_INPUT", "the database cannot represent a value in the request")


async def _on_database_error(_request: Request, _error: Exception) -> Response:
    return failure(500, "DATABASE_ERROR", "the database refused the request")


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return failure(400, "INVALID_INPUT", "the request ended early")


async def _on_error(_request: Request, _error: Exception) -> Response:
    return failure(500, "INTERNAL_ERROR", "internal error")


class _Server(uvicorn.Server):
    """Uvicorn with signals that end in a return, and a word when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn raises a captured signal again at the end, which would hide the exit code.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def _bind(settings: Settings) -> socket.socket:
    # Asyncio turns off the delay of small writes only where the protocol is spelled out.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def run(settings: Settings, ready_fd: int | None) -> int:
    """Run the server in this process until SIGTERM; return the exit code.

    A byte is written to `ready_fd` once the signal handlers are installed and the socket
    listens.
    """
    quieten_driver()
    notices = Notices(settings.component)
    try:
        listening = _bind(settings)
    except OSError as error:
        notices.say(f"cannot listen at {settings.host} port {settings.port}: {one_line(error)}")
        return ENVIRONMENT_FAILED

    async def serve(bound: socket.socket) -> None:
        database = Database(
            settings.dsn,
            timeout_ms=settings.request_timeout_ms,
            max_connections=settings.max_connections,
            notices=notices,
            never_recovers=settings.has("pool-never-recovers"),
        )
        config = uvicorn.Config(
            build_application(settings, database),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=max(1, settings.grace_ms // 1000),
        )
        server = _Server(config, lambda: announce_ready(ready_fd))
        await server.serve(sockets=[bound])
        await database.close()

    with listening:
        asyncio.run(serve(listening))
    return 0
