"""Makes a cluster's data directory by initdb, for the account that the server runs as."""

import contextlib
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.keeper.credentials import unprivileged_ids
from chaosfuzz.targets.postgres.locator import ENVIRONMENT_VARIABLE, Installation

SERVER_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
# Chosen by hand: a new cluster takes 39 MB (du), and its log and write-ahead log grow.
_MINIMUM_FREE_BYTES = 256 * 1024 * 1024
# Chosen by hand: initdb took less than 2 s on a busy machine with 2 cores.
_INITDB_TIMEOUT_S = 120.0
INITDB_OPTIONS = ("-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N")
# The first major versions of PostgreSQL with `initdb -c` and with io_method.
_FIRST_WITH_SET = 16
_FIRST_WITH_IO_METHOD = 18
_SHARED_MEMORY_IN_FILES = "dynamic_shared_memory_type=mmap"

# Without fsync an acknowledged commit is in the kernel's cache. A SIGKILL of the whole server
# keeps it there; only a crash of the machine loses it.
_QUICK_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "shared_buffers": "16MB",
    # In files of the data directory: segments in /dev/shm would not name their cluster.
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "60",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers": "0",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "logging_collector": "off",
    "listen_addresses": "127.0.0.1",
}


def quick_settings(major: int) -> dict[str, str]:
    """Return the settings of a quick server of a major version."""
    # The default io_method would add three processes to each start and stop.
    newer = {"io_method": "sync"} if major >= _FIRST_WITH_IO_METHOD else {}
    return {**_QUICK_SETTINGS, **newer}


def check_directory(directory: Path) -> None:
    """Create the directory; raise UsageError if it cannot be written.

    Raises InfrastructureError if less than 256 MB are free.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        message = f"cannot write the directory {directory}: {error.strerror}"
        raise UsageError(cause=message, remedy="choose another directory") from error
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < _MINIMUM_FREE_BYTES:
        needed = f"a PostgreSQL cluster needs {_MINIMUM_FREE_BYTES >> 20} MB"
        raise InfrastructureError(
            cause=f"only {free_bytes >> 20} MB are free for {directory}, {needed}",
            remedy="free space there, or set TMPDIR to a larger disk",
        )


def make_accessible(keeper: Keeper, installation: Installation, directory: Path) -> Installation:
    """Let the unprivileged account use the directory and the programs; return the programs to use.

    Only the `setuid` way needs this: the directory then belongs to `nobody`, and programs that
    `nobody` cannot read are copied into it. Raises InfrastructureError if there is no such
    account, or if it cannot enter a parent of the directory.
    """
    if keeper.way != "setuid":
        return installation
    try:
        user_id, group_id = unprivileged_ids()
    except KeyError as error:
        raise InfrastructureError(
            cause=(
                "running as root without user namespaces needs an account `nobody`, and there is "
                "none"
            ),
            remedy="add the account, or run as another user",
        ) from error
    for parent in directory.resolve().parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            raise InfrastructureError(
                cause=f"the account `nobody` cannot enter {parent}",
                remedy=f"run: chmod o+x {parent}, or set TMPDIR to a directory that all may enter",
            )
    os.chown(directory, user_id, group_id)
    if _is_open(installation.bin_directory):
        return installation
    copy = directory / "installation"
    prefix = installation.bin_directory.resolve().parent
    if not copy.exists():
        shutil.copytree(prefix, copy / prefix.parent.name / prefix.name, symlinks=True)
        # Programs from a wheel find their libraries by this path relative to their own.
        libraries = prefix.parent.with_name(prefix.parent.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        for path in (copy, *copy.rglob("*")):
            os.chown(path, user_id, group_id, follow_symlinks=False)
    copied = copy / prefix.parent.name / prefix.name / installation.bin_directory.name
    return replace(installation, bin_directory=copied)


def initialise(
    keeper: Keeper, installation: Installation, data_directory: Path, socket_directory: Path
) -> None:
    """Make the data directory anew by initdb, with the quick settings in postgresql.conf.

    Raises InfrastructureError if initdb fails or takes more than two minutes.
    """
    if data_directory.exists():
        shutil.rmtree(data_directory)
    log_path = data_directory.parent / "initdb.log"
    program = str(installation.program("initdb"))
    options = [*INITDB_OPTIONS]
    if installation.major >= _FIRST_WITH_SET:
        # For the server that initdb runs, in case it is killed.
        options += ["-c", _SHARED_MEMORY_IN_FILES]
    process = keeper.execute(
        [program, "-D", str(data_directory), *options],
        environment=SERVER_ENVIRONMENT,
        log_path=log_path,
        user="unprivileged",
        working_directory=data_directory.parent,
    )
    with contextlib.closing(process):
        exit_code = process.wait(_INITDB_TIMEOUT_S)
        if exit_code is None:
            process.kill_tree()
    if exit_code != 0:
        outcome = "took too long" if exit_code is None else f"failed with exit code {exit_code}"
        raise InfrastructureError(
            cause=(
                f"{program} {outcome} in {data_directory}. Its log {log_path} ends: "
                f"{log_tail(log_path)}"
            ),
            remedy=f"correct what the log says; {ENVIRONMENT_VARIABLE} names another PostgreSQL",
        )
    settings = quick_settings(installation.major)
    settings["unix_socket_directories"] = str(socket_directory)
    with (data_directory / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def _is_open(bin_directory: Path) -> bool:
    path = bin_directory.resolve()
    needed = stat.S_IXOTH | stat.S_IROTH
    programs = [path / "postgres", path / "initdb"]
    passable = all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents))
    return passable and all(program.stat().st_mode & needed == needed for program in programs)
