"""The settings of a system for people: the starter's times, or a fraction of them."""

from dataclasses import dataclass

from chaosfuzz.domain.errors import UsageError

MAX_SPEED = 50.0
# Milliseconds at speed 1. Not the starter's are the lease and its renewal: it has none.
_TIMES_MS = {
    "poll_ms": 5000,
    "lease_ms": 10_000,
    "heartbeat_ms": 2000,
    "recovery_ms": 1000,
    "backoff_ms": 1000,
    "backoff_cap_ms": 300_000,
    "breaker_open_ms": 60_000,
}
# Below these a busy machine would be late for its own leases.
_LEAST_MS = {"poll_ms": 50, "lease_ms": 600, "heartbeat_ms": 120, "recovery_ms": 50}
_FIXED = {
    "reconnect_ms": 100,
    "grace_ms": 5000,
    "request_timeout_ms": 2000,
    "concurrency": 4,
    "max_attempts": 3,
    "breaker_failures": 5,
    "breaker_successes": 3,
}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How many times as fast as the starter's everything is.

    Raises:
        UsageError: the speed is out of range.

    """

    speed: float = 1.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.speed <= MAX_SPEED:
            message = f"speed {self.speed:g} is out of range"
            raise UsageError(cause=message, remedy=f"choose from 0.1 to {MAX_SPEED:g}")

    def settings(self) -> dict[str, float | int]:
        """Return the settings that every component has."""
        times = {
            name: max(_LEAST_MS.get(name, 1), round(time_ms / self.speed))
            for name, time_ms in _TIMES_MS.items()
        }
        return {**_FIXED, **times, "handler_scale": 1 / self.speed}
