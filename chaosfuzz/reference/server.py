"""The server process: the HTTP API on a socket that this process binds."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import h11
import psycopg
import uvicorn
import uvicorn.lifespan.off
from uvicorn.protocols.http.h11_impl import H11Protocol

from chaosfuzz.reference import accounts
from chaosfuzz.reference.api.application import build_application
from chaosfuzz.reference.api.envelope import failure
from chaosfuzz.reference.api.operation import Services
from chaosfuzz.reference.database import Database
from chaosfuzz.reference.passwords import Passwords
from chaosfuzz.reference.process import (
    ENVIRONMENT_FAILED,
    Notices,
    announce_ready,
    one_line,
    quieten_driver,
)
from chaosfuzz.reference.roles import Role
from chaosfuzz.reference.settings import Settings

# Chosen by hand.
BACKLOG = 512


class _Protocol(H11Protocol):
    """HTTP by h11; the reply to invalid HTTP has the shape of all other refusals."""

    def send_400_response(self, msg: str) -> None:
        body = failure(400, "INVALID_INPUT", "this is not a valid HTTP request").body
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        reply = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (reply, h11.Data(data=bytes(body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Server(uvicorn.Server):
    """Uvicorn that returns after SIGTERM or SIGINT, and calls `on_ready` once it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn itself raises a captured signal again at the end, which changes the exit code.
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
    # Asyncio sets TCP_NODELAY only on sockets whose protocol is given as IPPROTO_TCP.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


async def _ensure_admin(services: Services, notices: Notices) -> None:
    """Insert the first admin if a password is configured; retry until the database is available.

    A user with that name or address stays as they are.
    """
    settings = services.settings
    if settings.initial_admin_password is None:
        return
    admin = accounts.NewUser(
        username=settings.admin_username,
        email=settings.admin_email,
        password_hash=await services.passwords.hashed(settings.initial_admin_password),
        role=Role.ADMIN,
    )
    while True:
        try:
            role = await services.database.run(accounts.create_unless_there, admin)
        except psycopg.OperationalError:
            await asyncio.sleep(settings.reconnect_ms / 1000)
            continue
        if role is not Role.ADMIN:
            notices.say(f"{admin.username} exists and is no admin; the account stays as it is")
        return


def run(settings: Settings, ready_fd: int | None) -> int:
    """Run the server in this process until SIGTERM; return the exit code.

    Write a byte to `ready_fd` once the signal handlers are installed and the socket listens.
    Return ENVIRONMENT_FAILED if the address cannot be bound.
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
            leaks_on_error=settings.has("connection-leak-on-error"),
        )
        services = Services(settings=settings, database=database, passwords=Passwords())
        config = uvicorn.Config(
            build_application(services),
            loop="asyncio",
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=max(1, settings.grace_ms // 1000),
        )
        server = _Server(config, lambda: announce_ready(ready_fd))
        admin = asyncio.create_task(_ensure_admin(services, notices))
        await server.serve(sockets=[bound])
        admin.cancel()
        await database.close()

    with listening:
        asyncio.run(serve(listening))
    return 0
