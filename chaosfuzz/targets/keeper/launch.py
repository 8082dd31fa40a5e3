"""Prepares a forked child (session, descriptors, signals) and runs its function or program."""

import contextlib
import gc
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from chaosfuzz.targets.keeper.credentials import (
    UnprivilegedWay,
    become_unprivileged,
    die_with_parent,
)

_READY_DESCRIPTOR = 3
_CANNOT_EXECUTE = 127


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of `entry` (module:function) in the child, with (argument, ready descriptor)."""

    entry: str
    argument: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program to execute in the child; `way` is how it gives up root, None keeps root."""

    argv: Sequence[str]
    environment: Mapping[str, str] | None
    working_directory: str
    way: UnprivilegedWay | None


def run_child(
    work: Call | Command,
    *,
    keeper_pid: int,
    log_descriptor: int,
    ready_descriptor: int | None,
    pipes: tuple[int, int] | None = None,
) -> NoReturn:
    """Run `work` in a forked child, and end the process with its exit code.

    The child gets a session of its own, default signals, and no descriptors but its standard ones
    and the ready descriptor as number 3. The kernel kills it when the keeper ends. `pipes` become
    standard input and output; without them these are /dev/null and the log. An exception is
    printed to the log; the exit code is then 1 for a call and 127 for a program.
    """
    exit_code = 1
    try:
        os.setsid()
        inherit = isinstance(work, Command)
        _set_descriptors(log_descriptor, ready_descriptor, pipes, inherit=inherit)
        if isinstance(work, Command):
            exit_code = _CANNOT_EXECUTE
            _reset_signals(python=False)
            os.chdir(work.working_directory)
            if work.way is not None:
                become_unprivileged(work.way)
            die_with_parent(keeper_pid)
            exit_code = _execute(work)
        else:
            _reset_signals(python=True)
            die_with_parent(keeper_pid)
            exit_code = _call(work)
    except BaseException:  # noqa: BLE001 - the child must end here in any case
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(exit_code & 0xFF)


def _set_descriptors(
    log_descriptor: int,
    ready_descriptor: int | None,
    pipes: tuple[int, int] | None,
    *,
    inherit: bool,
) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(pipes[0] if pipes is not None else null, 0)
    os.dup2(pipes[1] if pipes is not None else log_descriptor, 1)
    os.dup2(log_descriptor, 2)
    first_to_close = _READY_DESCRIPTOR
    if ready_descriptor is not None:
        os.dup2(ready_descriptor, _READY_DESCRIPTOR, inheritable=inherit)
        first_to_close += 1
    # Listing is quicker than trying every number below a limit that may be a million.
    for entry in Path("/proc/self/fd").iterdir():
        if int(entry.name) >= first_to_close:
            with contextlib.suppress(OSError):
                os.close(int(entry.name))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def _reset_signals(*, python: bool) -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # The C library reserves some real-time signals and refuses to set them.
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    if python:
        # As in a fresh interpreter: Python's sockets rely on SIGPIPE being ignored.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _execute(command: Command) -> int:
    """Replace this process by the program; return 127 if that fails."""
    environment = os.environ if command.environment is None else command.environment
    try:
        os.execvpe(command.argv[0], list(command.argv), dict(environment))
    except OSError as error:
        program, where = command.argv[0], command.working_directory
        sys.stderr.write(f"chaosfuzz: cannot run {program!r} in {where}: {error.strerror}\n")
        return _CANNOT_EXECUTE


def _call(call: Call) -> int:
    gc.enable()
    module_name, _, function_name = call.entry.partition(":")
    function = getattr(importlib.import_module(module_name), function_name)
    try:
        result = function(call.argument, _READY_DESCRIPTOR)
    except SystemExit as stop:
        if isinstance(stop.code, str):
            sys.stderr.write(stop.code + "\n")
            return 1
        result = stop.code
    return int(result or 0)
