"""A queue in fifty lines: leases, no heartbeats. Its helpers leave their parent and session."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import psycopg

CLAIM = """
UPDATE jobs SET status = 'taken', attempts = attempts + 1,
       locked_until = clock_timestamp() + interval '1.5 s'
WHERE id = (SELECT id FROM jobs WHERE status = 'queued'
            OR (status = 'taken' AND locked_until < clock_timestamp())
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, token, duration_ms, attempts
"""


def note(event: str, token: str, task: int, attempt: int, **more: str) -> None:
    record = {"event": event, "token": token, "task": task, "attempt": attempt, **more}
    record |= {"component": os.environ["CHAOSFUZZ_COMPONENT"], "pid": os.getpid()}
    record["at_unix_ns"] = time.time_ns()
    with Path(os.environ["CHAOSFUZZ_LEDGER"]).open("ab", buffering=0) as ledger:
        ledger.write(json.dumps(record).encode() + b"\n")


def leave_a_helper_behind() -> None:
    """As daemons do: fork, leave the session, fork again, and let the parent go."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                signal.pause()
        os._exit(0)
    os.wait()


def main(dsn: str) -> None:
    connection = None
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    leave_a_helper_behind()
    while True:
        try:
            if connection is None:
                connection = psycopg.connect(dsn, autocommit=True, connect_timeout=2)
                print("ready", flush=True)
            row = connection.execute(CLAIM).fetchone()
            if row is None:
                time.sleep(0.05)
                continue
            task, token, duration_ms, attempt = row
            note("start", token, task, attempt)
            time.sleep(duration_ms / 1000)
            note("end", token, task, attempt, result="finished")
            connection.execute("UPDATE jobs SET status = 'done' WHERE id = %s", (task,))
        except psycopg.OperationalError:
            if "--fragile" in sys.argv:
                raise
            connection = None
            time.sleep(0.05)


main(sys.argv[1])
