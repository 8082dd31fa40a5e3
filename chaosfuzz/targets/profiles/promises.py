"""The table [contract] of a profile: the promises of its system."""

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


def _not_blank(text: str) -> str:
    if not text.strip():
        raise WrongValueError("it is empty", "quote the documentation, and name its page")
    return text


DocumentedText = Annotated[str, AfterValidator(_not_blank)]


class LimitProfile(Table):
    """A documented limit: a finding that the target's own documentation admits."""

    kind: Annotated[Kind, FromToml] = key("kind of the finding")
    says: DocumentedText = key("what is documented")
    source: DocumentedText = key("where it is documented")
    after: Annotated[tuple[Fault, ...], FromToml] = key("faults that cause it; [] if none has to")
    status: Annotated[
        TaskStatus | None, FromToml, BeforeValidator(lambda s: None if s == "" else s)
    ] = key("last state of the task", None)
    scope: Literal["task", "run"] = key(
        "whether the fault touched the task, or came before", "task"
    )

    def as_limit(self) -> Limit:
        """Return the limit in the form that invariants use."""
        status = self.status.value if self.status is not None else ""
        rest = self.model_dump(exclude={"kind", "status", "scope"})
        of_run = self.scope == "run"
        return Limit(**rest, kind=self.kind.value, status=status, of_run=of_run)


class ContractProfile(Table):
    """The promises of a target. Times are bounds that hold on a loaded machine too."""

    guarantee: Literal["at-most-once", "at-least-once"] = key(
        "how often the effect of a task happens"
    )
    source: str = key("where the guarantee is written", "")
    lease_ms: Milliseconds = key(
        "milliseconds without a heartbeat after which a worker loses its task", 3000
    )
    recovery_ms: int = key(
        "milliseconds after healing within which each task ends", 8000, gt=0, le=3_600_000
    )
    acknowledgement_grace_ms: int = key(
        "milliseconds after a handler's end in which a fault may hide it from the queue",
        1000,
        ge=0,
        le=600_000,
    )
    request_timeout_ms: Milliseconds = key("milliseconds within which a request is answered", 5000)
    health_ms: Milliseconds = key("milliseconds after healing until the server is well", 8000)
    max_attempts: Count | None = key("attempts of a task before it fails for good", None)
    pickup_ms: Milliseconds = key("milliseconds within which a ready task starts", 2000)
    slots_per_worker: Count | None = key(
        "executions that a worker runs at once; with fewer it takes ready tasks", None
    )
    overlap_after_pause: Excused = key("executions that overlap after a pause or cut", "allowed")
    failed_after_finish: Excused = key(
        "a finished task that failed because a fault hid its end", "allowed"
    )
    late_start: Excused = key("a worker that starts a task after its lease", "allowed")
    worker_exit: Annotated[WorkerExit, FromToml] = key(
        "how to judge a worker that ends by itself", WorkerExit.BROKEN
    )
    limits: Annotated[tuple[LimitProfile, ...], FromToml] = key("what its documentation admits", ())

    def as_contract(self, *, priorities: bool, serves_requests: bool) -> Contract:
        """Return the contract in the form that invariants use.

        `priorities`: tasks are created with a priority; `serves_requests`: by HTTP. A late start
        is declared under at-least-once only.
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
