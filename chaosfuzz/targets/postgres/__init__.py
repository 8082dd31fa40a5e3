"""PostgreSQL: its programs, clusters of a lane's own, lanes and systems on a database."""

from chaosfuzz.targets.postgres.cluster import Cluster, StopMode
from chaosfuzz.targets.postgres.leftovers import (
    Leftover,
    find_leftovers,
    processes_in,
    remove_leftover,
)
from chaosfuzz.targets.postgres.locator import locate_postgres
from chaosfuzz.targets.postgres.ports import ReservedPort
from chaosfuzz.targets.postgres.runtime_directory import create_runtime_directory, runtime_root

__all__ = [
    "Cluster",
    "Leftover",
    "ReservedPort",
    "StopMode",
    "create_runtime_directory",
    "find_leftovers",
    "locate_postgres",
    "processes_in",
    "remove_leftover",
    "runtime_root",
]
