"""Builds the history of a run by hand, to test invariants."""

import functools
from dataclasses import replace
from typing import Any

from chaosfuzz.checking.loading import builtin_directory, load_invariants
from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.history import (
    Creation,
    Fault,
    FaultKind,
    Health,
    History,
    Inquiry,
    InquiryKind,
    Observation,
    Operation,
    OperationKind,
    ProcessExit,
)
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState, TaskStatus
from chaosfuzz.domain.verdict import Finding, Invariant
from chaosfuzz.domain.view import View

MS = 10**6
# The bounds are round figures, chosen by hand.
CONTRACT = Contract(
    guarantee=Guarantee.AT_LEAST_ONCE,
    lease_ms=600,
    recovery_ms=3000,
    acknowledgement_grace_ms=1000,
    request_timeout_ms=5000,
    health_ms=4000,
    max_attempts=3,
)


class HistoryBuilder:
    """Builds a history step by step; every method but `row`, `view` and `check` returns self.

    All times are milliseconds since the beginning of the run, and may be negative. Task `n` has the
    id `id-n` and the token `token-n`; worker `n` is the component `worker-n` with the pid 100 + n.
    `history` is what has been built so far, `contract` what the target promises.
    """

    def __init__(self) -> None:
        self.history = History(began_ns=0)
        self.contract = CONTRACT

    def promises(self, **fields: Any) -> "HistoryBuilder":  # noqa: ANN401
        """Change fields of the contract. It starts as `CONTRACT` of this module."""
        self.contract = replace(self.contract, **fields)
        return self

    def created(
        self,
        number: int = 1,
        at: int = 0,
        *,
        outcome: Outcome = Outcome.OK,
        took: int = 1,
        detail: str = "",
        **request: Any,  # noqa: ANN401
    ) -> "HistoryBuilder":
        """Record that a client asked for a task at `at` and got the outcome `took` ms later.

        `request` are fields of TaskRequest, such as `priority` or `delay_ms`.
        """
        self.history.add(
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

    def executed(
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
    ) -> "HistoryBuilder":
        """Record that a worker ran a task; without `end` the ledger holds no end of it.

        `result` is `finished` or `failed`.
        """
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
    ) -> "HistoryBuilder":
        """Record that a client asked to cancel or to retry a task."""
        self.history.add(
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
    ) -> "HistoryBuilder":
        """Record that a user asked for a list, and that the answer held the tasks `numbers`."""
        self.history.add(
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
    ) -> "HistoryBuilder":
        """Record that a fault began; without `ended` it is still in force.

        From `certain` on, by default from `began` on, it had certainly taken effect.
        """
        self.history.add(
            Fault(
                kind=kind,
                component=component,
                began_ns=began * MS,
                ended_ns=None if ended is None else ended * MS,
                certain_ns=(began if certain is None else certain) * MS,
            )
        )
        return self

    def exited(
        self, component: str, at: int, *, code: int = 1, ordered: bool = False
    ) -> "HistoryBuilder":
        """Record that a component, such as `worker-1`, exited; `ordered` if a step ended it."""
        pid = 100 + int(component.split("-")[1])
        self.history.add(
            ProcessExit(
                component=component, pid=pid, exit_code=code, ordered=ordered, at_ns=at * MS
            )
        )
        return self

    def observed(
        self,
        at: int,
        *rows: TaskState,
        health: Health = Health.UNASKED,
        **fields: Any,  # noqa: ANN401
    ) -> "HistoryBuilder":
        """Record that the queue held these rows; with `tasks=None`, that it could not be read.

        `fields` are further fields of Observation, such as `components_up`. Observations are kept
        in order of time.
        """
        fields = {"tasks": rows, "health_asked_ns": at * MS, **fields}
        self.history.add(Observation(at_ns=at * MS, health=health, **fields))
        by_time = sorted(self.history.observations, key=lambda each: each.at_ns)
        self.history.observations = by_time
        return self

    def machine_stalled(self, began: int, ended: int) -> "HistoryBuilder":
        """Record that the machine stood still from `began` to `ended`."""
        self.history.stalls = [*self.history.stalls, (began * MS, ended * MS)]
        return self

    def processor_wait(self, total: int, at: int) -> "HistoryBuilder":
        """Record that an idle thread had waited `total` ms for a processor by `at`, in all."""
        self.history.lateness = [*self.history.lateness, (at * MS, total * MS)]
        return self

    def healed(self, at: int) -> "HistoryBuilder":
        """Record that all faults were healed."""
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
        """Return a row of the queue, for `observed`.

        With `copy` it is another task that was made by the same creation.
        """
        fields = {"max_attempts": 3, **fields}
        return TaskState(
            task_id=f"id-{number}{copy}",
            token=f"token-{number}",
            status=status,
            attempts=attempts,
            **fields,
        )

    def view(self, now: int = 60_000, *, final: bool = True) -> View:
        """Return what an invariant sees at `now`; `final` is the check after healing."""
        return View(self.history, self.contract, final, now * MS)

    def check(
        self, invariant: Invariant | str, now: int = 60_000, *, final: bool = True
    ) -> list[Finding]:
        """Return what an invariant, or the built-in one of that name, finds at `now`.

        Raises KeyError if there is no built-in invariant of that name.
        """
        found = _builtin()[invariant] if isinstance(invariant, str) else invariant
        return list(found.check(self.view(now, final=final)))


@functools.cache
def _builtin() -> dict[str, Invariant]:
    return {found.name: found for found in load_invariants([builtin_directory()])}
