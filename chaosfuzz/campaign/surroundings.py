"""What the machine around chaosfuzz is like: interpreter, kernel, ports, cores, files."""

import os
import platform
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper.credentials import become_subreaper, probe_unprivileged_way
from chaosfuzz.targets.postgres.ports import ReservedPort

OK, MISSING, BROKEN = "ok", "missing", "broken"
OLDEST_PYTHON = (3, 11)
DOCKER_SOCKET = Path("/var/run/docker.sock")
_DOCKER_TIMEOUT_S = 2.0
_WAYS = {
    "not-root": "not running as root; nothing to give up",
    "user-namespace": "running as root; PostgreSQL is run as an ordinary user of a user namespace",
    "setuid": "running as root; PostgreSQL is run as the account nobody",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at. `missing` is optional; `broken` keeps `fuzz` from running."""

    name: str
    state: str
    detail: str
    remedy: str = ""


def python() -> Finding:
    """Look at the interpreter and the system."""
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON or not sys.platform.startswith("linux"):
        remedy = "use CPython 3.11 or later on Linux"
        return Finding(
            name="python", state=BROKEN, detail=f"{found}, {sys.platform}", remedy=remedy
        )
    return Finding(name="python", state=OK, detail=found)


def privilege() -> Finding:
    """Find out how root is given up."""
    return Finding(name="privilege", state=OK, detail=_WAYS[probe_unprivileged_way()])


def processes() -> Finding:
    """Try the system calls that processes are kept by."""
    os.close(os.pidfd_open(os.getpid()))
    pid = os.fork()
    if pid == 0:
        # In a child: this process must not adopt orphans it would never reap.
        exit_code = 1
        try:
            become_subreaper()
            exit_code = 0
        finally:
            os._exit(exit_code)
    if os.waitpid(pid, 0)[1] != 0:
        message = "the kernel refuses prctl(PR_SET_CHILD_SUBREAPER); allow it in the sandbox"
        raise InfrastructureError(message)
    return Finding(name="processes", state=OK, detail="pidfd and subreaper work")


def ports() -> Finding:
    """Find a free port."""
    reserved = ReservedPort()
    try:
        detail = f"free ones on 127.0.0.1, {reserved.number} for example"
    finally:
        reserved.close()
    return Finding(name="ports", state=OK, detail=detail)


def cores() -> Finding:
    """Count cores."""
    cores = len(os.sched_getaffinity(0))
    lanes = max(1, min(2, cores))
    return Finding(name="cores", state=OK, detail=f"{cores}; fuzz uses {lanes} lanes by default")


def results(out: Path) -> Finding:
    """Try to write where results go."""
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        message = f"cannot write {existing}: {error.strerror}; choose another with --out"
        raise InfrastructureError(message) from error
    detail = f"go to {out.absolute()}, {shutil.disk_usage(existing).free >> 20} MB free"
    return Finding(name="results", state=OK, detail=detail)


def docker() -> Finding:
    """Ask whether a Docker engine answers."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_DOCKER_TIMEOUT_S)
            probe.connect(str(DOCKER_SOCKET))
            probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            answers = b" 200 " in probe.recv(64)
    except OSError:
        answers = False
    if answers:
        return Finding(name="docker", state=OK, detail=f"an engine answers at {DOCKER_SOCKET}")
    return Finding(
        name="docker",
        state=MISSING,
        detail=f"no engine answers at {DOCKER_SOCKET}",
        remedy="optional: no target of this version uses it",
    )


def node() -> Finding:
    """Look for Node."""
    found = shutil.which("node")
    if found:
        return Finding(name="node", state=OK, detail=found)
    remedy = "optional: no target of this version uses it"
    return Finding(name="node", state=MISSING, detail="not on PATH", remedy=remedy)
