"""One request at a time: the seeds of schedules, and what a lane learns before the first."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from chaosfuzz.domain.schedule import MAX_SERIAL_SEED, Schedule, make_step
from chaosfuzz.domain.target import TracingRunner

# What takes its time before it makes a request: work done, work that fails, and a heartbeat.
_WORKS = (
    make_step("create_tasks", count=1, duration_ms=600),
    make_step("create_tasks", count=1, duration_ms=60),
    make_step("create_tasks", count=1, duration_ms=60, failures=9),
    make_step("create_tasks", count=1, duration_ms=60, failures=9),
)
_TIMERS = Schedule(
    workers=1,
    steps=tuple(step for work in _WORKS for step in (work, make_step("wait_idle"))),
    serial_seed=0,
)


def serial_seed(seed: int, number: int) -> int:
    """Return the seed of the order of requests of one schedule, by its number in a search."""
    digest = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % (MAX_SERIAL_SEED + 1)


def in_series(schedules: Iterator[Schedule], seed: int) -> Iterator[Schedule]:
    """Yield schedules with the seeds that follow from their numbers."""
    for number, schedule in enumerate(schedules, 1):
        yield replace(schedule, serial_seed=serial_seed(seed, number))


def learn_timers(runner: TracingRunner) -> None:
    """Let a runner's lane see which requests come by timers, so that it knows in every run."""
    runner.trace(_TIMERS)
