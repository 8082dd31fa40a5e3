"""Sends API requests at regular times during a scenario, and samples the system."""

import itertools
import time
from dataclasses import dataclass

from chaosfuzz.domain.history import FaultKind, Health, History, Observation
from chaosfuzz.domain.scenario import Count, Sample
from chaosfuzz.domain.target import ApiService, Measurable, System
from chaosfuzz.domain.task import TaskStatus
from chaosfuzz.scenarios.parts import Pace

LIVE = "/api/v1/health/live"
HEALTH = "/api/v1/health"
CREATE = "/api/v1/tasks"
PATHS = (LIVE, "/api/v1/tasks?limit=5", "/api/v1/tasks/types", "/api/v1/auth/me")
CALL_EVERY_S, SAMPLE_EVERY_S = 0.5, 1.0
SHORTEST_S = 0.05
DOWN = (FaultKind.DATABASE_DOWN, FaultKind.SERVER_DOWN)
_WAITING = {TaskStatus.PENDING, TaskStatus.RETRYING}


@dataclass(frozen=True, kw_only=True)
class ApiCall:
    """One API request; `status` is None if there was no answer."""

    path: str
    sent_ns: int
    ended_ns: int
    status: int | None

    @property
    def succeeded(self) -> bool:
        """Say whether the answer was a success."""
        return self.status is not None and 200 <= self.status < 300


class Monitor:
    """Makes and records the API requests (`calls`) and `samples` of one scenario.

    `pace` shortens the intervals, 0.05 s at least.
    """

    def __init__(self, system: System, pace: Pace, began_ns: int) -> None:
        self._system = system
        self._began_ns = began_ns
        self._call_every_s = max(SHORTEST_S, pace.seconds(CALL_EVERY_S))
        self._sample_every_s = max(SHORTEST_S, pace.seconds(SAMPLE_EVERY_S))
        self._next_call_s = self._next_sample_s = self._next_health_s = 0.0
        self._paths = itertools.cycle(PATHS)
        self.calls: list[ApiCall] = []
        self.samples: list[Sample] = []

    def record_call(self, path: str, sent_ns: int, ended_ns: int, status: int | None) -> None:
        """Record a request that somebody else sent."""
        call = ApiCall(path=path, sent_ns=sent_ns, ended_ns=ended_ns, status=status)
        self.calls.append(call)

    def record_health(self, seen: Observation) -> None:
        """Record the health request of an observation, if it made one."""
        if seen.health is not Health.UNASKED:
            status = {Health.WELL: 200, Health.UNWELL: 503}.get(seen.health)
            self.record_call(HEALTH, seen.health_asked_ns, seen.at_ns, status)

    def ask(self, path: str) -> bool:
        """Send and record a request now; say whether it succeeded. False if there is no API."""
        if not isinstance(self._system, ApiService):
            return False
        reply = self._system.ask(path)
        self.record_call(path, reply.sent_ns, reply.ended_ns, reply.status)
        return self.calls[-1].succeeded

    def health_is_due(self) -> bool:
        """Say whether a health request is due; if so, the next is due an interval later."""
        now = time.monotonic()
        if now < self._next_health_s:
            return False
        self._next_health_s = now + self._call_every_s
        return True

    def tick(self, history: History) -> None:
        """Send the next request and take a sample, each if it is due."""
        now = time.monotonic()
        if now >= self._next_call_s:
            self._next_call_s = now + self._call_every_s
            self.ask(next(self._paths))
        if now >= self._next_sample_s:
            self._next_sample_s = now + self._sample_every_s
            self.sample(history)

    def sample(self, history: History) -> None:
        """Record a sample: the newest observation, and memory (bytes) and sessions as of now.

        Sessions are 0 while the database is down.
        """
        latest = history.observations[-1]
        statuses = [row.status for row in latest.tasks or ()]
        memory = self._system.memory_bytes() if isinstance(self._system, Measurable) else 0
        sessions = 0
        if not history.fault_in_force(FaultKind.DATABASE_DOWN):
            seen = self._system.observe(ask_health=False, count_sessions=True)
            sessions = seen.database_sessions
        self.samples.append(
            Sample(
                at_s=round((time.monotonic_ns() - self._began_ns) / 1e9, 3),
                waiting=sum(status in _WAITING for status in statuses),
                running=statuses.count(TaskStatus.RUNNING),
                completed=statuses.count(TaskStatus.COMPLETED),
                failed=statuses.count(TaskStatus.FAILED),
                workers=len(self._system.worker_names()),
                memory_bytes=memory,
                sessions=sessions,
                breakers=" ".join(f"{b.task_type}={b.state}" for b in latest.breakers),
            )
        )

    def api(self, history: History) -> Count:
        """Count the requests outside of outages, and how many of them succeeded."""
        calls = [call for call in self.calls if not in_outage(call, history)]
        return Count(good=sum(call.succeeded for call in calls), of=len(calls))

    def outage(self, history: History, timeout_ms: int) -> Count:
        """Count the requests during outages, and how many of them failed gracefully."""
        calls = [call for call in self.calls if in_outage(call, history)]
        graceful = sum(is_graceful(call, history, timeout_ms) for call in calls)
        return Count(good=graceful, of=len(calls))


def in_outage(call: ApiCall, history: History) -> bool:
    """Say whether a fault had server or database down at some time of the request."""
    faults = (fault for fault in history.faults if fault.kind in DOWN)
    return any(fault.touches(call.sent_ns, call.ended_ns) for fault in faults)


def is_graceful(call: ApiCall, history: History, timeout_ms: int) -> bool:
    """Say whether a request succeeded, got status 503, or was refused in time by a dead server."""
    if call.succeeded or call.status == 503:
        return True
    server_down = any(
        f.kind is FaultKind.SERVER_DOWN and f.touches(call.sent_ns, call.ended_ns)
        for f in history.faults
    )
    in_time = call.ended_ns - call.sent_ns < timeout_ms * 10**6
    return call.status is None and server_down and in_time
