"""The settings of `chaosfuzz up`: the starter's times, or a fraction of them."""

from chaosfuzz.domain.errors import UsageError

# At this speed three of the four least times below are reached. Chosen by hand.
MAX_SPEED = 50.0
# Milliseconds at speed 1, as in the starter. The starter has no lease and no heartbeat: these
# two times are chosen by hand.
_TIMES_MS = {
    "poll_ms": 5000,
    "lease_ms": 10_000,
    "heartbeat_ms": 2000,
    "recovery_ms": 1000,
    "backoff_ms": 1000,
    "backoff_cap_ms": 300_000,
    "breaker_open_ms": 60_000,
}
# Chosen by hand: with shorter times a worker on a busy machine loses its own leases.
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


def pace_settings(speed: float) -> dict[str, float]:
    """Return the settings that all components share; times are in milliseconds.

    The starter's times are divided by the speed, but some have a least value. Raises UsageError if
    the speed is not from 0.1 to 50.
    """
    if not 0.1 <= speed <= MAX_SPEED:
        message = f"speed {speed:g} is out of range"
        raise UsageError(cause=message, remedy=f"choose from 0.1 to {MAX_SPEED:g}")
    times = {
        name: max(_LEAST_MS.get(name, 1), round(time_ms / speed))
        for name, time_ms in _TIMES_MS.items()
    }
    return {**_FIXED, **times, "handler_scale": 1 / speed}
