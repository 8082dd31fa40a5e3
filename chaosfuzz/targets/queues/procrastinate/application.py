"""The application that worker and producer share: one task, and the documented recovery."""

import asyncio
import json
import os
import time

import procrastinate
from procrastinate import BaseConnector, JobContext, RetryStrategy

TASK = "probe"
MOST_RETRIES = 2
STALLED_WORKER_TIMEOUT_S = 3


class PlannedFailureError(Exception):
    """The handler was told to fail."""


def make_app(connector: BaseConnector, *, recover: bool = False) -> procrastinate.App:
    """Return an application; with `recover` it retries stalled jobs, as its documentation says."""
    app = procrastinate.App(connector=connector)

    @app.task(name=TASK, pass_context=True, retry=RetryStrategy(max_attempts=MOST_RETRIES, wait=0))
    async def probe(context: JobContext, token: str, duration_ms: int, failures: int) -> None:
        """Work for so long, and fail at the first so many attempts."""
        attempt = context.job.attempts + 1
        write("start", token, context.job.id, attempt)
        await asyncio.sleep(duration_ms / 1000)
        failing = attempt <= failures
        write("end", token, context.job.id, attempt, result="failed" if failing else "finished")
        if failing:
            raise PlannedFailureError(token)

    if recover:

        @app.periodic(cron="* * * * * */5")
        @app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
        async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
            """Queue again what workers without heartbeat hold."""
            manager = context.app.job_manager
            stalled = await manager.get_stalled_jobs(
                seconds_since_heartbeat=STALLED_WORKER_TIMEOUT_S
            )
            for job in stalled:
                await manager.retry_job(job)

    return app


def write(event: str, token: str, task: int | None, attempt: int, **more: str) -> None:
    """Append a line to the ledger at once, so that it survives whatever comes."""
    line = {
        "event": event,
        "token": token,
        "task": str(task),
        "attempt": attempt,
        "component": os.environ["CHAOSFUZZ_COMPONENT"],
        "pid": os.getpid(),
        "at_ns": time.monotonic_ns(),
        **more,
    }
    descriptor = os.open(
        os.environ["CHAOSFUZZ_LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666
    )
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    finally:
        os.close(descriptor)
