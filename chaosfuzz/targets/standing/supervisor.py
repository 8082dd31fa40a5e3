"""The process that owns the system of `chaosfuzz up`, and carries out orders in turn."""

import contextlib
import os
import select
import signal
import socket
import sys
from pathlib import Path

from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError, UsageError
from chaosfuzz.targets.keeper.process_tree import start_time_ticks
from chaosfuzz.targets.postgres import locate_postgres
from chaosfuzz.targets.postgres.runtime_directory import scratch_directory
from chaosfuzz.targets.standing.control import (
    ALL_WORKERS,
    RESPONSES,
    SERVER,
    Order,
    Refusal,
    Response,
    Status,
    read_order,
    respond,
)
from chaosfuzz.targets.standing.kept_data import cluster_directory, kept_data, new_password
from chaosfuzz.targets.standing.pace import pace_settings
from chaosfuzz.targets.standing.services import Services
from chaosfuzz.targets.standing.starting import PLANS, Plan
from chaosfuzz.targets.standing.state import State, forget_state, state_path, write_state

# Chosen by hand.
_ORDER_TIMEOUT_S = 5.0
_LOOK_EVERY_S = 2.0


def supervise(ready: int) -> int:
    """Read a plan from standard input, start the system, and serve until it is taken down.

    Writes a Response to the descriptor `ready` once the system is ready or has failed to start.
    Returns the exit code: 3 if it failed to start, else 0.
    """
    plan = PLANS.validate_json(sys.stdin.buffer.read())
    wake = _catch_signals()
    with contextlib.ExitStack() as undo, os.fdopen(ready, "wb") as announcement:
        try:
            supervisor = _Supervisor(plan, undo)
        except (ChaosfuzzError, OSError) as error:
            if isinstance(error, OSError):
                remedy = f"see the supervisor's log in {state_path(plan.out).parent}"
                error = InfrastructureError(cause=str(error), remedy=remedy)
            announcement.write(RESPONSES.dump_json(Response(refusal=Refusal.of(error))))
            forget_state(plan.out)
            return 3
        announcement.write(RESPONSES.dump_json(Response()))
        announcement.close()
        supervisor.serve(wake)
    return 0


class _Supervisor:
    """Starts the system and carries out one order at a time; `undo` ends and removes it."""

    def __init__(self, plan: Plan, undo: contextlib.ExitStack) -> None:
        self._plan = plan
        self._undo = undo
        runtime = undo.enter_context(scratch_directory("up"))
        directory, password = runtime / "postgres", new_password()
        if plan.data is not None:
            major = locate_postgres().major
            password = undo.enter_context(kept_data(plan.data, major)).admin_password
            directory = cluster_directory(plan.data)
        logs = state_path(plan.out).parent
        undo.callback(forget_state, plan.out)
        self._services = Services(
            directory=directory,
            logs=logs,
            port=plan.port,
            pace=pace_settings(plan.speed),
            admin_password=password,
            defects=plan.defects,
            keeps=plan.data is not None,
        )
        undo.callback(self._services.close)
        self._services.start(SERVER)
        self._services.add_workers(plan.workers)
        self._listening = undo.enter_context(_listen(runtime / "control.sock"))
        write_state(
            State(
                pid=os.getpid(),
                start_time_ticks=start_time_ticks(os.getpid()) or 0,
                base_url=f"http://127.0.0.1:{self._services.port}",
                dsn=self._services.dsn,
                admin_username="admin",
                admin_email="admin@example.com",
                admin_password=password,
                speed=plan.speed,
                defects=plan.defects,
                runtime_directory=runtime,
                socket_path=runtime / "control.sock",
                logs=logs,
                ledger_path=self._services.ledger_path,
                data=plan.data,
            ),
            plan.out,
        )

    def serve(self, wake: int) -> None:
        """Take orders until `down`, until `wake` is readable, or until the state file is gone."""
        path = state_path(self._plan.out)
        while path.exists():
            listening = self._listening.fileno()
            ready, _, _ = select.select([listening, wake], [], [], _LOOK_EVERY_S)
            if wake in ready:
                return
            if listening not in ready:
                continue
            connection, _address = self._listening.accept()
            with connection:
                connection.settimeout(_ORDER_TIMEOUT_S)
                if not self._answer(connection):
                    return

    def _answer(self, connection: socket.socket) -> bool:
        """Carry out the order of a connection; return False after `down`."""
        try:
            order = read_order(connection)
        except (OSError, ValueError):
            return True
        try:
            if order.verb == "down":
                self._undo.close()
                response = Response()
            else:
                response = Response(status=self._carry_out(order))
        except ChaosfuzzError as error:
            response = Response(refusal=Refusal.of(error))
        # The command may have been interrupted meanwhile.
        with contextlib.suppress(OSError):
            respond(connection, response)
        return order.verb != "down"

    def _carry_out(self, order: Order) -> Status:
        services = self._services
        if order.verb == "start":
            for name in self._named(order.service, running=False):
                services.start(name)
        elif order.verb == "end":
            for name in self._named(order.service, running=True):
                services.end(name, graceful=order.graceful)
        elif order.verb == "add-workers":
            services.add_workers(order.count)
        elif order.verb == "scale":
            services.scale(order.count)
        elif order.verb == "stop-db":
            services.stop_database(order.mode)
        elif order.verb == "start-db":
            services.start_database()
        return services.status()

    def _named(self, service: str, *, running: bool) -> tuple[str, ...]:
        """Return the services of a name; `all-workers` are those that run, or do not run."""
        states = self._services.status().services
        known = [state.name for state in states[1:]]
        if service == ALL_WORKERS:
            workers = [state for state in states[1:] if state.name != SERVER]
            chosen = [s.name for s in workers if (s.condition == "running") is running]
            if not chosen:
                what = "runs" if running else "has ended"
                raise UsageError(
                    cause=f"no worker {what}", remedy="see what runs with: chaosfuzz workers status"
                )
            return tuple(chosen)
        if service not in known:
            raise UsageError(
                cause=f"no service {service!r}",
                remedy=f"choose among: {', '.join([*known, ALL_WORKERS])}",
            )
        return (service,)


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    listening.listen()
    return listening


def _catch_signals() -> int:
    """Return a descriptor that is readable after SIGTERM, SIGINT or SIGHUP."""
    wake, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return wake
