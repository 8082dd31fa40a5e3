"""What is seen of a running system, and judged: the history, and questions about it."""

import time

from chaosfuzz.domain.action import RETRY_STRATEGIES
from chaosfuzz.domain.breaker import BreakerState
from chaosfuzz.domain.history import Health, History, ProcessExit
from chaosfuzz.domain.target import System
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState
from chaosfuzz.domain.task_counts import TaskCounts
from chaosfuzz.domain.verdict import Failure
from chaosfuzz.domain.view import View
from chaosfuzz.scenarios.monitor import HEALTH, Monitor
from chaosfuzz.scenarios.seams import Pace, Seams

CANARY = "canary"
# So much of the time may go into judging between the end and the beginning.
JUDGING_SHARE = 0.2


class BrokenPromiseError(Exception):
    """An invariant is violated: the scenario is over."""

    def __init__(self, failures: tuple[Failure, ...]) -> None:
        super().__init__(failures[0].message)
        self.failures = failures


class Sight:
    """The history of one scenario, and what its latest observation shows."""

    def __init__(self, system: System, seams: Seams, pace: Pace) -> None:
        self.system = system
        self.seams = seams
        self.pace = pace
        self.contract = system.contract
        self.history = History(began_ns=time.monotonic_ns())
        self.monitor = Monitor(system, pace, self.history.began_ns)
        self.undecided: dict[str, None] = {}
        self.moved_s = time.monotonic()
        self._judging_s = 0.0
        self._turns = 0

    def elapsed_s(self) -> float:
        """Return the seconds since the scenario began."""
        return (time.monotonic_ns() - self.history.began_ns) / 1e9

    def owed(self, tag: str | None = None) -> list[TaskRequest]:
        """Return the accepted tasks, all or those of a tag, that nothing keeps from success."""
        return [
            c.request
            for c in self.history.creations
            if c.acknowledged and (tag is None or c.request.tag == tag) and can_succeed(c.request)
        ]

    def rows(self) -> dict[str, TaskState]:
        """Return the rows seen last, by token."""
        latest = self.history.observations[-1].tasks if self.history.observations else None
        return {row.token: row for row in latest or ()}

    def unfinished(self, tag: str | None = None) -> list[TaskRequest]:
        """Return the accepted tasks that are not in a terminal state, or not to be seen."""
        rows = self.rows()
        accepted = (c.request for c in self.history.creations if c.acknowledged)
        return [
            request
            for request in accepted
            if (tag is None or request.tag == tag)
            and (request.token not in rows or not rows[request.token].status.terminal)
        ]

    def counts(self, tag: str) -> TaskCounts:
        """Look, and count the tasks of a tag by status."""
        self.observe()
        rows = self.rows()
        asked = [c.request.token for c in self.history.creations if c.request.tag == tag]
        return TaskCounts.of(rows[token].status.value for token in asked if token in rows)

    def at_work(self) -> dict[str, list[Execution]]:
        """Return who runs what now, by the ledger."""
        running: dict[str, list[Execution]] = {}
        alive = set(self.system.worker_names())
        gone = {each.pid for each in self.history.exits}
        for execution in self.history.executions:
            is_open = execution.end_ns is None and execution.pid not in gone
            if is_open and execution.token and execution.component in alive:
                running.setdefault(execution.component, []).append(execution)
        return running

    def breaker(self, task_type: str) -> BreakerState:
        """Return the state of a task type's circuit breaker as seen last, from the database."""
        latest = self.history.observations[-1]
        states = (b.state for b in latest.breakers if b.task_type == task_type)
        return next(states, BreakerState.CLOSED)

    def has_turned(self, task_type: str, state: BreakerState) -> bool:
        """Say whether a breaker has turned to a state since the last turn that was waited for."""
        turns = [t for t in self.history.observations[-1].transitions if t.task_type == task_type]
        for index, turn in enumerate(turns[self._turns :], self._turns + 1):
            if turn.after is state:
                self._turns = index
                return True
        return False

    def observe(self, *, ask_health: bool = False, count_sessions: bool = False) -> None:
        """Look at everything; judge it if something changed."""
        asked_ns = time.monotonic_ns()
        seen = self.system.observe(ask_health=ask_health, count_sessions=count_sessions)
        if ask_health:
            answered = {Health.WELL: 200, Health.UNWELL: 503}.get(seen.health)
            self.monitor.called(HEALTH, asked_ns, time.monotonic_ns(), answered)
        executions = tuple(self.system.executions())
        ended = self.system.exits()
        now_ns = time.monotonic_ns()
        self.history.exits += [
            ProcessExit(
                component=each.component,
                pid=each.pid,
                exit_code=each.exit_code,
                ordered=each.ordered,
                at_ns=now_ns,
            )
            for each in ended
        ]
        before = self.history.observations[-1] if self.history.observations else None
        shifted = before is None or seen.breakers != before.breakers
        moved = shifted or bool(ended) or seen.tasks != (before.tasks if before else None)
        moved = moved or executions != self.history.executions
        self.history.executions = executions
        if moved:
            self.moved_s = time.monotonic()
        if moved or ask_health:
            self.history.observations.append(seen)
            if shifted or ask_health or self._judging_s < JUDGING_SHARE * self.elapsed_s():
                self.check(final=False)

    def check(self, *, final: bool) -> None:
        """Judge the history so far; raises BrokenPromiseError on a violation."""
        began = time.monotonic()
        self.history.stalls = self.seams.stalls.since(self.history.began_ns)
        self.history.lateness = self.seams.stalls.lateness_since(self.history.began_ns)
        view = View(self.history, self.contract, final, time.monotonic_ns())
        judgement = self.seams.judge.judge(view, None)
        self._judging_s += time.monotonic() - began
        self.undecided.update(dict.fromkeys(judgement.undecided))
        if judgement.failures:
            raise BrokenPromiseError(judgement.failures)


def can_succeed(request: TaskRequest) -> bool:
    """Say whether a task has attempts enough to get over those that are to fail."""
    attempts = 1 if RETRY_STRATEGIES[request.strategy] == "none" else request.max_attempts
    return request.failures < attempts and request.tag != CANARY
