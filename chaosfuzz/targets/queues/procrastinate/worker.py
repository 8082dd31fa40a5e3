"""A worker: `worker.py DSN [--recover]`."""

import asyncio
import logging
import sys

from procrastinate import PsycopgConnector

from chaosfuzz.targets.queues.procrastinate.application import STALLED_WORKER_TIMEOUT_S, make_app


async def work(dsn: str, *, recover: bool) -> None:
    """Run a worker until it is asked to stop; with `recover` stalled jobs are retried."""
    connector = PsycopgConnector(conninfo=dsn, min_size=1, max_size=4)
    app = make_app(connector, recover=recover)
    async with app.open_async():
        await app.run_worker_async(
            concurrency=2,
            update_heartbeat_interval=1,
            stalled_worker_timeout=STALLED_WORKER_TIMEOUT_S,
            fetch_job_polling_interval=30,
        )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(work(sys.argv[1], recover="--recover" in sys.argv))
