"""Checks what this machine offers for fuzzing; each result names what to do."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from chaosfuzz.domain.check_result import BROKEN, MISSING, OK, CheckResult, failed_check, look
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError
from chaosfuzz.domain.target import CheckedTarget
from chaosfuzz.machine.cleaning import SHARED_MEMORY
from chaosfuzz.targets.keeper.credentials import become_subreaper, probe_unprivileged_way
from chaosfuzz.targets.postgres import (
    ReservedPort,
    create_runtime_directory,
    find_leftovers,
    runtime_root,
)
from chaosfuzz.targets.postgres.data_directory import check_directory
from chaosfuzz.targets.registry import DEFAULT_TARGET, find_target, target_names

SCHEMA = "chaosfuzz.doctor/1"
OLDEST_PYTHON = (3, 11)
# PostgreSQL refuses to run as root.
_PRIVILEGE = {
    "not-root": "not running as root; PostgreSQL runs as the same user",
    "user-namespace": "running as root; PostgreSQL runs as an ordinary user of a user namespace",
    "setuid": "running as root; PostgreSQL runs as the account nobody",
}


def examine(out: Path) -> Iterator[CheckResult]:
    """Yield the results of the machine's checks, then those of every target's own check.

    `out` is the directory for results of runs. The checks remove every file and process they make.
    """
    checks: Mapping[str, Callable[[], CheckResult]] = {
        "python": _python,
        "privilege": _privilege,
        "processes": _processes,
        "runtime directory": _runtime_directory,
        "ports": _ports,
        "cores": _cores,
        "results": partial(_results, out),
        "leftovers": _leftovers,
    }
    for name, check in checks.items():
        yield look(name, check)
    for name in target_names():
        yield from check_target(name)


def check_target(name: str) -> Iterator[CheckResult]:
    """Yield the results of a target's own check of this machine; none if it has no check.

    Only the default target has to work. For every other one BROKEN becomes MISSING. A target that
    cannot be made or whose check raises is MISSING, the default one too.
    """
    try:
        target = find_target(name)
        if not isinstance(target, CheckedTarget):
            return
        for result in target.check_machine():
            optional = result.state == BROKEN and name != DEFAULT_TARGET
            yield replace(result, state=MISSING) if optional else result
    except ChaosfuzzError as error:
        yield failed_check(name, error, MISSING)
    except Exception as error:  # noqa: BLE001 - a third party's check may raise anything
        yield CheckResult(
            name=name,
            state=MISSING,
            detail=f"its check of this machine failed: {type(error).__name__}: {error}",
            remedy="correct its method `check_machine`, or uninstall its package",
        )


def can_fuzz(findings: Sequence[CheckResult]) -> bool:
    """Tell whether `chaosfuzz fuzz` can run with its default target."""
    return all(finding.state != BROKEN for finding in findings)


def document(findings: Sequence[CheckResult]) -> dict[str, object]:
    """Return the findings as JSON values in the form of SCHEMA."""
    return {
        "schema": SCHEMA,
        "can_fuzz": can_fuzz(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def _python() -> CheckResult:
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON or not sys.platform.startswith("linux"):
        remedy = "use CPython 3.11 or later on Linux"
        return CheckResult(
            name="python", state=BROKEN, detail=f"{found}, {sys.platform}", remedy=remedy
        )
    return CheckResult(name="python", state=OK, detail=found)


def _privilege() -> CheckResult:
    return CheckResult(name="privilege", state=OK, detail=_PRIVILEGE[probe_unprivileged_way()])


def _processes() -> CheckResult:
    """Try the system calls that keep track of processes."""
    os.close(os.pidfd_open(os.getpid()))
    pid = os.fork()
    if pid == 0:
        # Tried in a child, since a subreaper adopts orphans and this process never reaps them.
        exit_code = 1
        try:
            become_subreaper()
            exit_code = 0
        finally:
            os._exit(exit_code)
    if os.waitpid(pid, 0)[1] != 0:
        raise InfrastructureError(
            cause="the kernel refuses prctl(PR_SET_CHILD_SUBREAPER)",
            remedy="allow this call in the sandbox or container in which chaosfuzz runs",
        )
    return CheckResult(name="processes", state=OK, detail="pidfd and subreaper work")


def _runtime_directory() -> CheckResult:
    directory = create_runtime_directory("doctor")
    try:
        check_directory(directory)
    finally:
        shutil.rmtree(directory)
    root = runtime_root()
    kind = "memory" if root == SHARED_MEMORY else "disk, which is slower"
    free_mb = shutil.disk_usage(root).free >> 20
    remedy = "" if root == SHARED_MEMORY else "for speed give /dev/shm 512 MB (docker: --shm-size)"
    asked = os.environ.get("TMPDIR")
    if asked and Path(asked).resolve() != Path(tempfile.gettempdir()).resolve():
        remedy = f"TMPDIR={asked} cannot be written or is full; correct or unset it"
    detail = f"{root} ({kind}), {free_mb} MB free"
    return CheckResult(name="runtime directory", state=OK, detail=detail, remedy=remedy)


def _ports() -> CheckResult:
    with closing(ReservedPort()) as reserved:
        detail = f"free ones on 127.0.0.1, {reserved.number} for example"
    return CheckResult(name="ports", state=OK, detail=detail)


def _cores() -> CheckResult:
    cores = len(os.sched_getaffinity(0))
    lanes = max(1, min(2, cores))
    return CheckResult(
        name="cores", state=OK, detail=f"{cores}; fuzz uses {counted(lanes, 'lane')} by default"
    )


def _results(out: Path) -> CheckResult:
    """Try to write 4 KB into the directory for results, or into its nearest existing parent."""
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        raise InfrastructureError(
            cause=f"cannot write {existing}: {error.strerror}",
            remedy="choose another directory for results with --out",
        ) from error
    detail = f"go to {out.absolute()}, {shutil.disk_usage(existing).free >> 20} MB free"
    return CheckResult(name="results", state=OK, detail=detail)


def _leftovers() -> CheckResult:
    found = find_leftovers()
    if not found:
        return CheckResult(name="leftovers", state=OK, detail="none of dead runs")
    processes = sum(len(leftover.pids) for leftover in found)
    directories = counted(len(found), "directory", "directories")
    detail = f"{directories} and {counted(processes, 'process', 'processes')} of dead runs"
    return CheckResult(name="leftovers", state=OK, detail=detail, remedy="run: chaosfuzz clean")
