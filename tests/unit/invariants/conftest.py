import functools
from pathlib import Path
from typing import Any

import pytest

from chaosfuzz.checking import load_invariants
from chaosfuzz.domain import Execution, FaultKind, Finding, Health, OperationKind, Outcome, View
from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.history import (
    Creation,
    Fault,
    History,
    Inquiry,
    InquiryKind,
    Observation,
    Operation,
    ProcessExit,
)
from chaosfuzz.domain.task import TaskRequest, TaskState, TaskStatus

DIRECTORY = Path(__file__).parents[3] / "invariants"
MS = 10**6


@functools.cache
def builtin():
    return {found.name: found for found in load_invariants([DIRECTORY])}


class Past:
    """Builds a history by hand; all times are milliseconds from its beginning."""

    def __init__(self) -> None:
        self.history = History(began_ns=0)
        self.contract: dict[str, Any] = {
            "guarantee": Guarantee.AT_LEAST_ONCE,
            "lease_ms": 600,
            "recovery_ms": 3000,
            "acknowledgement_grace_ms": 1000,
            "request_timeout_ms": 5000,
            "health_ms": 4000,
            "max_attempts": 3,
        }

    def created(
        self,
        number: int = 1,
        at: int = 0,
        *,
        outcome: Outcome = Outcome.OK,
        took: int = 1,
        detail: str = "",
        **request: int,
    ) -> "Past":
        self.history.creations.append(
            Creation(
                request=TaskRequest(number=number, token=f"token-{number}", **request),
                outcome=outcome,
                task_ids=(f"id-{number}",),
                sent_ns=at * MS,
                ended_ns=(at + took) * MS,
                detail=detail,
            )
        )
        return self

    def ran(
        self,
        number: int,
        start: int,
        end: int | None = None,
        *,
        result: str | None = "finished",
        worker: int = 1,
        pid: int | None = None,
        attempt: int = 1,
        task_id: str | None = None,
    ) -> "Past":
        execution = Execution(
            task_id=task_id or f"id-{number}",
            token=f"token-{number}",
            attempt=attempt,
            component=f"worker-{worker}",
            pid=pid or 100 + worker,
            start_ns=start * MS,
            end_ns=None if end is None else end * MS,
            result=None if end is None else result,
        )
        self.history.executions = (*self.history.executions, execution)
        return self

    def operated(
        self,
        kind: OperationKind,
        number: int,
        at: int,
        *,
        outcome: Outcome = Outcome.OK,
        took: int = 1,
    ) -> "Past":
        self.history.operations.append(
            Operation(
                kind=kind,
                number=number,
                outcome=outcome,
                sent_ns=at * MS,
                ended_ns=(at + took) * MS,
            )
        )
        return self

    def inquired(
        self,
        kind: InquiryKind,
        at: int,
        *numbers: int,
        user: int = 0,
        limit: int = 10,
        outcome: Outcome = Outcome.OK,
        took: int = 1,
        total: int | None = None,
        status: int = 200,
    ) -> "Past":
        self.history.inquiries.append(
            Inquiry(
                kind=kind,
                user=user,
                limit=limit,
                outcome=outcome,
                sent_ns=at * MS,
                ended_ns=(at + took) * MS,
                task_ids=tuple(f"id-{number}" for number in numbers),
                total=total,
                status=status,
                detail=str(status),
            )
        )
        return self

    def fault(
        self,
        kind: FaultKind,
        component: str,
        began: int,
        ended: int | None = None,
        certain: int | None = None,
    ) -> "Past":
        self.history.faults.append(
            Fault(
                kind=kind,
                component=component,
                began_ns=began * MS,
                ended_ns=None if ended is None else ended * MS,
                certain_ns=(began if certain is None else certain) * MS,
            )
        )
        return self

    def exited(self, component: str, at: int, *, code: int = 1, ordered: bool = False) -> "Past":
        pid = 100 + int(component.split("-")[1])
        self.history.exits.append(
            ProcessExit(
                component=component, pid=pid, exit_code=code, ordered=ordered, at_ns=at * MS
            )
        )
        return self

    def saw(
        self,
        at: int,
        *tasks: TaskState,
        health: Health = Health.UNASKED,
        **fields: Any,  # noqa: ANN401
    ) -> "Past":
        fields = {"tasks": tasks, "health_asked_ns": at * MS, **fields}
        self.history.observations.append(Observation(at_ns=at * MS, health=health, **fields))
        return self

    def stalled(self, began: int, ended: int) -> "Past":
        self.history.stalls.append((began * MS, ended * MS))
        return self

    def late(self, by: int, at: int) -> "Past":
        self.history.lateness.append((at * MS, by * MS))
        return self

    def healed(self, at: int) -> "Past":
        self.history.healed_ns = at * MS
        return self

    @staticmethod
    def row(
        number: int,
        status: TaskStatus,
        attempts: int = 1,
        *,
        copy: str = "",
        **fields: Any,  # noqa: ANN401
    ) -> TaskState:
        fields = {"max_attempts": 3, **fields}
        return TaskState(
            task_id=f"id-{number}{copy}",
            token=f"token-{number}",
            status=status,
            attempts=attempts,
            **fields,
        )

    def check(self, name: str, now: int = 60_000, *, final: bool = True) -> list[Finding]:
        view = View(self.history, Contract(**self.contract), final, now * MS)
        return list(builtin()[name].check(view))


@pytest.fixture
def past() -> Past:
    return Past()
