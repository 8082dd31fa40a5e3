"""Health: what the server says about itself."""

import time
from typing import Literal

import psycopg
from starlette.responses import Response

from chaosfuzz.reference import accounts, queue
from chaosfuzz.reference.api.envelope import Reply, failure, success
from chaosfuzz.reference.api.operation import Access, AnyOperation, Call, Operation
from chaosfuzz.reference.api.shapes import NoInput, Output
from chaosfuzz.reference.api.task_shapes import TaskStats
from chaosfuzz.reference.api.user_shapes import UserStats
from chaosfuzz.reference.database import Connection, Database
from chaosfuzz.reference.settings import Settings

VERSION = "1"
Nothing = Call[NoInput, NoInput]


class Health(Output):
    """How the server is; `uptime` in seconds."""

    status: Literal["healthy", "alive", "ready"]
    version: str
    uptime: float


class Check(Output):
    """How one thing is that the server needs."""

    status: Literal["healthy"]


class Checks(Output):
    """How everything is that the server needs."""

    database: Check


class DetailedHealth(Health):
    """The same with each check."""

    checks: Checks


class AdminHealth(DetailedHealth):
    """The same with what there is to serve."""

    users: UserStats
    tasks: TaskStats


class HealthOperations:
    """Open to everybody but for the one under /admin."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._started_s = time.monotonic()

    def operations(self) -> list[AnyOperation]:
        """Every operation."""
        public = (
            ("/health", "Healthy if the database answers.", self.health, Health),
            ("/health/detailed", "Each check's result.", self.detailed, DetailedHealth),
            ("/health/live", "The process answers; nothing else is asked.", self.live, Health),
            ("/health/ready", "Ready to serve, which needs the database.", self.ready, Health),
            ("/health/startup", "Ready for the first time.", self.ready, Health),
        )
        found: list[AnyOperation] = [
            Operation(
                method="GET",
                path=path,
                name=path.strip("/").replace("/", "_"),
                summary=summary,
                handler=handler,
                access=Access.PUBLIC,
                body=NoInput,
                query=NoInput,
                data=data,
                asks_database=path != "/health/live",
                tag="health",
            )
            for path, summary, handler, data in public
        ]
        return [
            *found,
            Operation(
                method="GET",
                path="/admin/health",
                name="admin_health",
                summary="Health with what there is to serve.",
                handler=self.admin,
                access=Access.ADMIN,
                body=NoInput,
                query=NoInput,
                data=AdminHealth,
                tag="health",
            ),
        ]

    async def health(self, _call: Nothing) -> Response:
        """Healthy if the database answers."""
        if not await self._database_answers():
            return _unhealthy()
        return self._state({"status": "healthy"})

    async def detailed(self, _call: Nothing) -> Response:
        """The same with each check's result."""
        if not await self._database_answers():
            return _unhealthy()
        return self._state({"status": "healthy", "checks": {"database": {"status": "healthy"}}})

    async def live(self, _call: Nothing) -> Response:
        """The process answers; the database is not asked."""
        return self._state({"status": "alive"})

    async def ready(self, _call: Nothing) -> Response:
        """Ready to serve, which needs the database."""
        if not await self._database_answers():
            return _unhealthy()
        return self._state({"status": "ready"})

    async def admin(self, _call: Nothing) -> Response:
        """What there is to serve; whoever gets here has been found in the database."""
        users = await self._database.run(accounts.stats)
        tasks = await self._database.run(queue.stats)
        checks = {"database": {"status": "healthy"}}
        counts = {"users": users, "tasks": tasks}
        return success({"status": "healthy", "checks": checks, **self._vital(), **counts})

    async def _database_answers(self) -> bool:
        # DEFECT health-always-ok: nobody is asked.
        if self._settings.has("health-always-ok"):
            return True
        try:
            await self._database.run(_ask)
        except psycopg.Error:
            return False
        return True

    def _vital(self) -> dict[str, object]:
        uptime_s = round(time.monotonic() - self._started_s, 3)
        return {"version": VERSION, "uptime": uptime_s}

    def _state(self, values: dict[str, object]) -> Response:
        data = {**values, **self._vital()}
        return Reply({"success": True, "data": data, "message": None, **data})


async def _ask(connection: Connection) -> None:
    await connection.execute("SELECT 1")


def _unhealthy() -> Response:
    return failure(503, "SERVICE_UNHEALTHY", "the database does not answer")
