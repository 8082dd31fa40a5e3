"""Creates a job for each JSON line on standard input: `producer.py DSN`."""

import json
import sys

from procrastinate import SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException

from chaosfuzz.targets.queues.procrastinate.application import TASK, make_app


def main(dsn: str) -> None:
    """Answer each line with a line on standard output, until standard input ends."""
    connector = SyncPsycopgConnector(conninfo=dsn, min_size=1, max_size=1, timeout=4)
    with make_app(connector).open() as app:
        print("ready", file=sys.stderr, flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                job_id = app.configure_task(TASK, priority=asked["priority"]).defer(
                    token=asked["token"],
                    duration_ms=asked["duration_ms"],
                    failures=asked["failures"],
                )
                answer = {"id": str(job_id), "ok": True}
            except ConnectorException as error:
                answer = {"ok": False, "error": repr(error.__cause__ or error), "certain": False}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
