import asyncio
import json
import os
import time
from datetime import timedelta
from pathlib import Path

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job


def note(event: str, token: str, **more: str) -> None:
    line = {"event": event, "token": token, "component": os.environ["CHAOSFUZZ_COMPONENT"]}
    line |= {"pid": os.getpid(), "at_unix_ns": time.time_ns(), **more}
    with Path(os.environ["CHAOSFUZZ_LEDGER"]).open("ab", buffering=0) as ledger:
        ledger.write(json.dumps(line).encode() + b"\n")


async def main() -> None:
    pgq = PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["CHAOSFUZZ_DSN"])))

    @pgq.entrypoint("probe")
    async def probe(job: Job) -> None:
        task = json.loads(job.payload)
        note("start", task["token"])
        await asyncio.sleep(task["duration_ms"] / 1000)
        note("end", task["token"], result="finished")

    print("ready", flush=True)
    await pgq.run(dequeue_timeout=timedelta(seconds=1), heartbeat_timeout=timedelta(seconds=2))


asyncio.run(main())
