"""The routes under /health, open to everybody."""

import time

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaosfuzz.reference.database import Connection, Database
from chaosfuzz.reference.envelope import Reply, failure
from chaosfuzz.reference.settings import Settings

VERSION = "1"


class HealthRoutes:
    """What the server says about itself."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._started_s = time.monotonic()

    def routes(self) -> list[Route]:
        """Every route."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/health/detailed", self.detailed, methods=["GET"]),
            Route("/health/live", self.live, methods=["GET"]),
            Route("/health/ready", self.ready, methods=["GET"]),
            Route("/health/startup", self.ready, methods=["GET"]),
        ]

    async def health(self, _request: Request) -> Response:
        """Healthy if the database answers."""
        if not await self._database_answers():
            return _unhealthy()
        return self._state({"status": "healthy"})

    async def detailed(self, _request: Request) -> Response:
        """The same with each check's result."""
        if not await self._database_answers():
            return _unhealthy()
        return self._state({"status": "healthy", "checks": {"database": {"status": "healthy"}}})

    async def live(self, _request: Request) -> Response:
        """The process answers; the database is not asked."""
        return self._state({"status": "alive"})

    async def ready(self, _request: Request) -> Response:
        """Ready to serve, which needs the database."""
        if not await self._database_answers():
            return _unhealthy()
        return self._state({"status": "ready"})

    async def _database_answers(self) -> bool:
        # DEFECT health-always-ok: nobody is asked.
        if self._settings.has("health-always-ok"):
            return True
        try:
            await self._database.run(_ask)
        except psycopg.Error:
            return False
        return True

    def _state(self, values: dict[str, object]) -> Response:
        uptime_s = round(time.monotonic() - self._started_s, 3)
        data = {**values, "version": VERSION, "uptime": uptime_s}
        return Reply({"success": True, "data": data, "message": None, **data})


async def _ask(connection: Connection) -> None:
    await connection.execute("SELECT 1")


def _unhealthy() -> Response:
    return failure(503, "SERVICE_UNHEALTHY", "the database does not answer")
