"""Health: whether the server and its database answer."""

import time
from typing import Literal

import psycopg
from starlette.responses import Response

from chaosfuzz.reference import accounts, queue
from chaosfuzz.reference.api.envelope import Reply, failure, success
from chaosfuzz.reference.api.operation import Access, Group, NoInputCall
from chaosfuzz.reference.api.shapes import Output
from chaosfuzz.reference.api.task_shapes import TaskStats
from chaosfuzz.reference.api.user_shapes import UserStats
from chaosfuzz.reference.database import Connection

VERSION = "1"
HEALTH = Group("health")
_CHECKS = {"database": {"status": "healthy"}}


class Health(Output):
    """The state of the server; `uptime` in seconds."""

    status: Literal["healthy", "alive", "ready"]
    version: str
    uptime: float


class Check(Output):
    """The state of one thing that the server needs."""

    status: Literal["healthy"]


class Checks(Output):
    """The state of everything that the server needs."""

    database: Check


class DetailedHealth(Health):
    """The state of the server with each check."""

    checks: Checks


class AdminHealth(DetailedHealth):
    """The state of the server with each check and the numbers of users and tasks."""

    users: UserStats
    tasks: TaskStats


@HEALTH.operation("GET", "/health", Health, access=Access.PUBLIC)
async def health(call: NoInputCall) -> Response:
    """Answer healthy if the database answers, else with 503."""
    return await _state_by_database(call, {"status": "healthy"})


@HEALTH.operation("GET", "/health/detailed", DetailedHealth, access=Access.PUBLIC)
async def health_detailed(call: NoInputCall) -> Response:
    """Answer with each check's result if the database answers, else with 503."""
    return await _state_by_database(call, {"status": "healthy", "checks": _CHECKS})


@HEALTH.operation("GET", "/health/live", Health, access=Access.PUBLIC, asks_database=False)
async def health_live(call: NoInputCall) -> Response:
    """Answer alive without asking the database."""
    return _state(call, {"status": "alive"})


@HEALTH.operation("GET", "/health/ready", Health, access=Access.PUBLIC)
async def health_ready(call: NoInputCall) -> Response:
    """Answer ready if the database answers, else with 503."""
    return await _state_by_database(call, {"status": "ready"})


@HEALTH.operation("GET", "/health/startup", Health, access=Access.PUBLIC)
async def health_startup(call: NoInputCall) -> Response:
    """Answer as /health/ready does; for probes that wait for the start."""
    return await health_ready(call)


@HEALTH.operation("GET", "/admin/health", AdminHealth, access=Access.ADMIN)
async def admin_health(call: NoInputCall) -> Response:
    """Answer with health and the numbers of users and tasks."""
    # The database has just answered: the caller's session was found in it.
    counts = {"users": await call.run(accounts.stats), "tasks": await call.run(queue.stats)}
    return success({"status": "healthy", "checks": _CHECKS, **_vital(call), **counts})


async def _state_by_database(call: NoInputCall, values: dict[str, object]) -> Response:
    # DEFECT health-always-ok: the database is not asked.
    if not call.services.settings.has("health-always-ok"):
        try:
            await call.run(_ask)
        except psycopg.Error:
            return failure(503, "SERVICE_UNHEALTHY", "the database does not answer")
    return _state(call, values)


async def _ask(connection: Connection) -> None:
    await connection.execute("SELECT 1")


def _state(call: NoInputCall, values: dict[str, object]) -> Response:
    data = {**values, **_vital(call)}
    return Reply({"success": True, "data": data, "message": None, **data})


def _vital(call: NoInputCall) -> dict[str, object]:
    return {"version": VERSION, "uptime": round(time.monotonic() - call.services.started_s, 3)}
