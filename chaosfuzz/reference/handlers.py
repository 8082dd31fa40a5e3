"""The handlers: the work of each task type."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# An hour, chosen by hand.
MAX_DURATION_MS = 3_600_000
OPERATIONS = ("sum", "count", "min", "max", "average", "sort")


class HandlerError(Exception):
    """A handler failed; the message becomes part of the task's last error."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The input of a handler. `attempt` counts from 1; `scale` multiplies durations."""

    payload: dict[str, Any]
    attempt: int
    scale: float

    async def spend(self, duration_ms: float) -> None:
        """Sleep for the duration times `scale`."""
        await asyncio.sleep(duration_ms * self.scale / 1000)

    def number(self, name: str, limit: float) -> float:
        """Return a number of the payload, 0 if absent; raise HandlerError unless 0 to `limit`."""
        value = self.payload.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= limit:
            raise HandlerError(f"{name} must be a number from 0 to {limit:g}")
        return value


Handler = Callable[[Work], Awaitable[None]]


async def send_email(work: Work) -> None:
    """Pretend to send an email; fail if the body contains "fail"."""
    await work.spend(500)
    if "fail" in str(work.payload.get("body", "")).lower():
        raise HandlerError("the mail server refused the message")


async def process_data(work: Work) -> None:
    """Pretend to apply an operation to an array; fail if payload data or operation are invalid."""
    await work.spend(1000)
    if not isinstance(work.payload.get("data", []), list):
        raise HandlerError("data must be an array")
    if work.payload.get("operation", "sum") not in OPERATIONS:
        raise HandlerError(f"operation must be one of {', '.join(OPERATIONS)}")


async def clean_files(work: Work) -> None:
    """Pretend to remove old files."""
    await work.spend(300)


async def generate_report(work: Work) -> None:
    """Pretend to write a report."""
    await work.spend(2000)


async def call_webhook(work: Work) -> None:
    """Pretend to call a URL; fail if the URL contains "fail"."""
    await work.spend(800)
    if "fail" in str(work.payload.get("url", "")).lower():
        raise HandlerError("the webhook did not answer")


async def wait_with_deadline(work: Work) -> None:
    """Wait for delay_seconds, scaled; then fail if the deadline has passed or is no ISO time."""
    await work.spend(work.number("delay_seconds", MAX_DURATION_MS / 1000) * 1000)
    deadline = work.payload.get("deadline")
    if deadline is None:
        return
    try:
        due = datetime.fromisoformat(str(deadline))
    except ValueError:
        raise HandlerError("deadline must be a time in ISO format") from None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    if datetime.now(UTC) > due:
        raise HandlerError("the deadline has passed")


async def probe(work: Work) -> None:
    """Wait for duration_ms, unscaled, then fail if the attempt is among the first `failures`."""
    await asyncio.sleep(work.number("duration_ms", MAX_DURATION_MS) / 1000)
    if work.attempt <= work.number("failures", 1_000_000):
        raise HandlerError(f"probe told to fail at attempt {work.attempt}")


HANDLERS: dict[str, Handler] = {
    "email": send_email,
    "data_processing": process_data,
    "file_cleanup": clean_files,
    "report_generation": generate_report,
    "webhook": call_webhook,
    "delay_task": wait_with_deadline,
    "probe": probe,
    "probe_b": probe,
    "probe_c": probe,
}
