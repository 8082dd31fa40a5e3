"""The part of a profile that says what its system promises."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from chaosfuzz.checked_toml import FromToml, Table, key
from chaosfuzz.domain.contract import Contract, Guarantee, Limit, WorkerExit
from chaosfuzz.domain.errors import WrongValueError
from chaosfuzz.domain.task import TaskStatus
from chaosfuzz.domain.verdict import Kind

Milliseconds = Annotated[int, Field(gt=0, le=600_000)]
Count = Annotated[int, Field(ge=1, le=1000)]
Excused = Literal["allowed", "broken"]
Fault = Literal["killed", "stopped", "paused", "cut-off", "database-down", "server-down"]


def _said(text: str) -> str:
    if not text.strip():
        raise WrongValueError("it is empty", "write what is documented, and where")
    return text


Said = Annotated[str, AfterValidator(_said)]


class LimitProfile(Table):
    """A behaviour that the target's own documentation admits."""

    kind: Annotated[Kind, FromToml] = key("kind of the finding")
    says: Said = key("what is documented")
    source: Said = key("where it is documented")
    after: Annotated[tuple[Fault, ...], FromToml] = key("faults that cause it; [] if none has to")
    status: Annotated[
        TaskStatus | None, FromToml, BeforeValidator(lambda s: None if s == "" else s)
    ] = key("last state of the task", None)
    scope: Literal["task", "run"] = key(
        "whether the fault touched the task, or came before", "task"
    )

    def as_limit(self) -> Limit:
        """Return it in the form that invariants use."""
        status = self.status.value if self.status is not None else ""
        rest = self.model_dump(exclude={"kind", "status", "scope"})
        of_run = self.scope == "run"
        return Limit(**rest, kind=self.kind.value, status=status, of_run=of_run)


class ContractProfile(Table):
    """What the target promises. Times are bounds that a loaded machine can keep."""

    guarantee: Literal["at-most-once", "at-least-once"] = key(
        "how often the effect of a task happens"
    )
    source: str = key("where the guarantee is written", "")
    lease_ms: Milliseconds = key("a worker that is silent for so long has lost its task", 3000)
    recovery_ms: int = key("each task ends so soon after healing", 8000, gt=0, le=3_600_000)
    acknowledgement_grace_ms: int = key(
        "a fault so long after a handler's end may hide it from the queue", 1000, ge=0, le=600_000
    )
    request_timeout_ms: Milliseconds = key("a request is answered within that", 5000)
    health_ms: Milliseconds = key("the server is well so soon after healing", 8000)
    max_attempts: Count | None = key("a task is tried so often before it fails for good", None)
    pickup_ms: Milliseconds = key("a ready task starts within that", 2000)
    slots_per_worker: Count | None = key("a worker with fewer executions takes ready tasks", None)
    overlap_after_pause: Excused = key("executions overlap after a pause or cut", "allowed")
    failed_after_finish: Excused = key("a fault hid the end, and the task failed", "allowed")
    late_start: Excused = key("a worker starts a task after its lease", "allowed")
    worker_exit: Annotated[WorkerExit, FromToml] = key(
        "how to judge a worker that ends by itself", WorkerExit.BROKEN
    )
    limits: Annotated[tuple[LimitProfile, ...], FromToml] = key("what its documentation admits", ())

    def as_contract(self, *, priorities: bool, serves_requests: bool) -> Contract:
        """Return it in the form that invariants use.

        `priorities` says whether tasks are created with one, `serves_requests` whether by HTTP.
        """
        excused = {"overlap_after_pause", "failed_after_finish", "late_start"}
        same = self.model_dump(exclude={*excused, "guarantee", "max_attempts", "limits"})
        is_repeated = self.guarantee == "at-least-once"
        return Contract(
            **same,
            guarantee=Guarantee(self.guarantee),
            max_attempts=self.max_attempts or 0,
            priorities=priorities,
            overlap_after_pause_is_declared=self.overlap_after_pause == "allowed",
            failed_after_finish_is_declared=self.failed_after_finish == "allowed",
            late_start_is_declared=self.late_start == "allowed" and is_repeated,
            serves_requests=serves_requests,
            limits=tuple(limit.as_limit() for limit in self.limits),
        )
