"""Writes lines to the ledger of a run, for the handlers of Python queues."""

import json
import os
import time
from pathlib import Path


def record(**fields: object) -> None:
    """Append a line to the file CHAOSFUZZ_LEDGER, with the component, the pid and the time.

    One write to a file opened for appending keeps the lines of several processes apart.
    """
    line = {
        **fields,
        "component": os.environ.get("CHAOSFUZZ_COMPONENT", "worker-1"),
        "pid": os.getpid(),
        "at_ns": time.monotonic_ns(),
    }
    with Path(os.environ["CHAOSFUZZ_LEDGER"]).open("ab", buffering=0) as ledger:
        ledger.write(json.dumps(line).encode() + b"\n")
