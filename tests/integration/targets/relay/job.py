"""A daemon that does jobs: leases of 2 s, nobody renews them, so work is shorter."""

import json
import os
import time
from pathlib import Path

import psycopg

CLAIM = """
UPDATE jobs SET state = 'busy', tries = tries + 1, lock_until = now() + interval '2 s'
WHERE id = (SELECT id FROM jobs
            WHERE state = 'new' OR (state = 'busy' AND lock_until < now() AND tries < 3)
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, payload, tries
"""
END = "UPDATE jobs SET state = %s, error = %s WHERE id = %s AND tries = %s"
BURY = "UPDATE jobs SET state = 'dead' WHERE state = 'busy' AND lock_until < now() AND tries >= 3"
LONGEST_MS = 1000


def note(event: str, token: str, **more: object) -> None:
    line = {"event": event, "token": token, "component": os.environ["CHAOSFUZZ_COMPONENT"]}
    line |= {"pid": os.getpid(), "at_unix_ns": time.time_ns(), **more}
    with Path(os.environ["CHAOSFUZZ_LEDGER"]).open("ab", buffering=0) as ledger:
        ledger.write(json.dumps(line).encode() + b"\n")


def do_one(connection: psycopg.Connection) -> bool:
    connection.execute(BURY)
    row = connection.execute(CLAIM).fetchone()
    if row is None:
        return False
    job, task, tries = row
    note("start", task["token"], attempt=tries)
    time.sleep(min(task["work"], LONGEST_MS) / 1000)
    fails = tries <= task["fail"]
    note("end", task["token"], attempt=tries, result="failed" if fails else "finished")
    state = "done" if not fails else "new" if tries < 3 else "dead"
    connection.execute(END, (state, "asked to" if fails else None, job, tries))
    return True


session = None
while True:
    try:
        session = session or psycopg.connect(
            os.environ["CHAOSFUZZ_DSN"], autocommit=True, connect_timeout=2
        )
        if not do_one(session):
            time.sleep(0.1)
    except psycopg.OperationalError:
        session = None
        time.sleep(0.1)
