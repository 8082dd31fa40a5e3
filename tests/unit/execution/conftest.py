from collections.abc import Callable, Iterator, Sequence

import pytest

from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.history import Health, InquiryKind, Observation, ProcessExit
from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import RunResult, System
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState, TaskStatus
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.domain.view import View
from chaosfuzz.execution import ScheduleRunner

OK = Reply(reception=Reception.ANSWERED, status=200)
SIGNATURE = Signature(invariant="fake", kind="LOST", role="server")


class FakeSystem:
    """A queue in memory that completes every task it accepts; its replies can be scripted."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.contract = Contract(
            guarantee=Guarantee.AT_LEAST_ONCE,
            lease_ms=20,
            recovery_ms=30,
            acknowledgement_grace_ms=5,
            request_timeout_ms=50,
            health_ms=30,
            max_attempts=3,
        )
        self.rows: dict[str, TaskState] = {}
        self.replies: list[Reply] = []
        self.answers: list[Reply] = []
        self.asked: list[TaskRequest] = []
        self.exited: list[ProcessExit] = []
        self.workers = ["worker-1"]
        self.error: Exception | None = None

    def kill(self, component: str, *, graceful: bool) -> bool:
        self._log(f"kill {component}")
        self.workers.remove(component)
        return True

    def start(self, component: str) -> bool:
        if component.startswith("worker") and component not in self.workers:
            self.log.append("heal")
            self.workers.append(component)
            return True
        return False

    def pause(self, component: str) -> bool:
        self._log(f"pause {component}")
        return True

    def resume(self, component: str) -> bool:
        return False

    def _log(self, line: str) -> None:
        """Log what is asked for; break the harness if told to."""
        self.log.append(line)
        if self.error is not None:
            raise self.error

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        health = Health.WELL if ask_health else Health.UNASKED
        return Observation(at_ns=0, tasks=tuple(self.rows.values()), health=health)

    def executions(self) -> Sequence[Execution]:
        return ()

    def exits(self) -> Sequence[ProcessExit]:
        gone, self.exited = self.exited, []
        return gone

    def worker_names(self) -> Sequence[str]:
        return self.workers

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        self.log.append(f"create {request.number}")
        self.asked.append(request)
        reply = self.replies.pop(0) if self.replies else OK
        if reply.status != 200:
            return reply
        identity = f"id-{request.token}"
        self.rows[request.token] = TaskState(
            task_id=identity,
            token=request.token,
            status=TaskStatus.COMPLETED,
            attempts=1,
            max_attempts=3,
        )
        return Reply(reception=reply.reception, status=200, task_id=identity)

    def cancel(self, task_id: str, user: int) -> Reply:
        self.log.append(f"cancel by {user}")
        return Reply(reception=Reception.ANSWERED, status=409, detail="409 it is done")

    def retry(self, task_id: str, user: int) -> Reply:
        self.log.append("retry")
        return Reply(reception=Reception.SENT_WITHOUT_ANSWER)

    def inquire(self, kind: InquiryKind, user: int, limit: int) -> Reply:
        self.log.append(f"inquire {kind} {user} {limit}")
        default = Reply(reception=Reception.ANSWERED, status=200, listed=("id",))
        return self.answers.pop(0) if self.answers else default

    def close(self) -> None:
        self.log.append("close")


class FakeIdleSystem:
    """A system that takes no tasks: it has what every system has and none of the abilities."""

    def __init__(self, system: FakeSystem) -> None:
        self.contract = system.contract
        self.observe = system.observe
        self.executions = system.executions
        self.exits = system.exits
        self.worker_names = system.worker_names
        self.close = system.close


class FakeLane:
    """Hands out one system again and again, its queue emptied."""

    def __init__(self, system: FakeSystem | FakeIdleSystem, log: list[str]) -> None:
        self.system = system
        self.log = log

    def open(self, workers: int) -> System:
        self.log.append(f"open {workers}")
        if isinstance(self.system, FakeSystem):
            self.system.rows.clear()
        return self.system

    def close(self) -> None:
        self.log.append("close lane")


class FakeJudge:
    """Judges by a function of view and step, and remembers the views."""

    def __init__(self) -> None:
        self.views: list[tuple[View, int | None]] = []
        self.violated_if: Callable[[View, int | None], bool] = lambda _view, _step: False
        self.undecided: tuple[str, ...] = ()

    def judge(self, view: View, step: int | None) -> Judgement:
        self.views.append((view, step))
        if not self.violated_if(view, step):
            return Judgement(verdict=Verdict.HOLDS, undecided=self.undecided)
        failure = Failure(signature=SIGNATURE, message="gone", tasks=(1,), step=step)
        return Judgement(verdict=Verdict.VIOLATED, failures=(failure,))


class FakeJournal:
    """Writes into the common log."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def write(self, kind: str, **fields: str | float | bool | None) -> None:
        self.log.append(f"journal {kind} {fields.get('step', '')}".strip())


class Stage:
    """A runner with fakes all around it, and the log of what happened in which order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.system = FakeSystem(self.log)
        self.judge = FakeJudge()
        self.stop = StopSignal()
        self.lane = FakeLane(self.system, self.log)
        self.runner = ScheduleRunner(
            self.lane,
            self.judge,
            FakeJournal(self.log),
            self.stop,
        )

    def take_no_tasks(self) -> None:
        self.lane.system = FakeIdleSystem(self.system)

    def run(self, *steps: Step) -> RunResult:
        return self.runner.run(Schedule(workers=1, steps=steps))


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.runner.close()
