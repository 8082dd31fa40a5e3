"""The work itself: what each task type does with its payload."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MAX_DURATION_MS = 3_600_000
OPERATIONS = ("sum", "count", "min", "max", "average", "sort")


class HandlerError(Exception):
    """The work could not be done; the message becomes the task's last error."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a handler is given."""

    payload: dict[str, Any]
    attempt: int
    scale: float

    async def spend(self, duration_ms: float) -> None:
        """Take the time the work takes, scaled."""
        await asyncio.sleep(duration_ms * self.scale / 1000)

    def number(self, name: str, limit: float) -> float:
        """A number from the payload, 0 if absent."""
        value = self.payload.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= limit:
            message = f"{name} must be a number from 0 to {limit:g}"
            raise HandlerError(message)
        return value


Handler = Callable[[Work], Awaitable[None]]


async def send_email(work: Work) -> None:
    """Pretend to send an email; a body with "fail" in it bounces."""
    await work.spend(500)
    if "fail" in str(work.payload.get("body", "")).lower():
        message = "the mail server refused the message"
        raise HandlerError(message)


async def process_data(work: Work) -> None:
    """Apply an operation to an array."""
    await work.spend(1000)
    if not isinstance(work.payload.get("data", []), list):
        message = "data must be an array"
        raise HandlerError(message)
    if work.payload.get("operation", "sum") not in OPERATIONS:
        message = f"operation must be one of {', '.join(OPERATIONS)}"
        raise HandlerError(message)


async def clean_files(work: Work) -> None:
    """Pretend to remove old files."""
    await work.spend(300)


async def generate_report(work: Work) -> None:
    """Pretend to write a report."""
    await work.spend(2000)


async def call_webhook(work: Work) -> None:
    """Pretend to call a URL; one with "fail" in it does not answer."""
    await work.spend(800)
    if "fail" in str(work.payload.get("url", "")).lower():
        message = "the webhook did not answer"
        raise HandlerError(message)


async def wait_with_deadline(work: Work) -> None:
    """Wait for delay_seconds; it is a failure if the deadline has passed by then."""
    await work.spend(work.number("delay_seconds", MAX_DURATION_MS / 1000) * 1000)
    deadline = work.payload.get("deadline")
    if deadline is None:
        return
    try:
        due = datetime.fromisoformat(str(deadline))
    except ValueError:
        message = "deadline must be a time in ISO format"
        raise HandlerError(message) from None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    if datetime.now(UTC) > due:
        message = "the deadline has passed"
        raise HandlerError(message)


async def probe(work: Work) -> None:
    """Wait for duration_ms, unscaled, then fail if the attempt is among the first `failures`."""
    await asyncio.sleep(work.number("duration_ms", MAX_DURATION_MS) / 1000)
    if work.attempt <= work.number("failures", 1_000_000):
        message = f"probe told to fail at attempt {work.attempt}"
        raise HandlerError(message)


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
