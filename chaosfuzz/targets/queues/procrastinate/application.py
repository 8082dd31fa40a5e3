"""The application that worker and producer share: one task, and the documented recovery."""

import asyncio

import procrastinate
from procrastinate import BaseConnector, JobContext, RetryStrategy

from chaosfuzz.targets.queues.ledger_lines import record

TASK = "probe"
MOST_RETRIES = 2
STALLED_WORKER_TIMEOUT_S = 3


class PlannedFailureError(Exception):
    """The payload asks this attempt to fail."""


def make_app(connector: BaseConnector, *, recover: bool = False) -> procrastinate.App:
    """Return an application; with `recover` it retries stalled jobs as documented."""
    app = procrastinate.App(connector=connector)

    @app.task(name=TASK, pass_context=True, retry=RetryStrategy(max_attempts=MOST_RETRIES, wait=0))
    async def probe(context: JobContext, token: str, duration_ms: int, failures: int) -> None:
        """Sleep for `duration_ms`; raise PlannedFailureError in the first `failures` attempts."""
        run = {"task": str(context.job.id), "token": token, "attempt": context.job.attempts + 1}
        record(event="start", **run)
        await asyncio.sleep(duration_ms / 1000)
        failing = context.job.attempts < failures
        record(event="end", **run, result="failed" if failing else "finished")
        if failing:
            raise PlannedFailureError(token)

    if recover:

        @app.periodic(cron="* * * * * */5")
        @app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
        async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
            """Retry the jobs of workers without a heartbeat."""
            manager = context.app.job_manager
            stalled = await manager.get_stalled_jobs(
                seconds_since_heartbeat=STALLED_WORKER_TIMEOUT_S
            )
            for job in stalled:
                await manager.retry_job(job)

    return app
