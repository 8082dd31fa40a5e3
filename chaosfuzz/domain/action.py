"""The actions a schedule can be made of: names, plain integer parameters, and what heals what."""

from dataclasses import dataclass
from enum import StrEnum

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import Side


class Role(StrEnum):
    """What an action is for; planning weighs by it."""

    LOAD = "load"
    FAULT = "fault"
    HEAL = "heal"
    WAIT = "wait"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One integer argument; with labels, the integer is an index that files show as a word."""

    name: str
    low: int
    high: int
    default: int
    meaning: str
    labels: tuple[str, ...] = ()

    def check(self, value: int, action: str) -> int:
        """Return the value, or raise UsageError when it is out of range."""
        if not self.low <= value <= self.high:
            message = (
                f"{action}: {self.name}={value} is out of range; "
                f"use {self.low} to {self.high} ({self.meaning})"
            )
            raise UsageError(message)
        return value

    def show(self, value: int) -> int | str:
        """Return what a file shows for the value."""
        return self.labels[value] if self.labels else value

    def read(self, shown: object, action: str) -> int:
        """Return the integer for what a file holds; raise UsageError if it holds something else."""
        if self.labels:
            if shown in self.labels:
                return self.labels.index(str(shown))
            message = f"{action}: {self.name}={shown!r} is unknown; use {', '.join(self.labels)}"
            raise UsageError(message)
        if isinstance(shown, bool) or not isinstance(shown, int):
            message = f"{action}: {self.name}={shown!r} is not a whole number"
            raise UsageError(message)
        return self.check(shown, action)


@dataclass(frozen=True, kw_only=True)
class Action:
    """One kind of step. `heals` names the action whose effect it undoes.

    With `strikes_client` it strikes the client's own connection, in one of its HTTP requests;
    `side` is the only side of a moment on which it can strike, None if both will do.
    """

    name: str
    role: Role
    summary: str
    parameters: tuple[Parameter, ...] = ()
    heals: str | None = None
    needs_moment: bool = False
    strikes_client: bool = False
    side: Side | None = None

    @property
    def pinnable(self) -> bool:
        """Say whether it can strike at a moment: faults can, and what releases a held request."""
        return self.role is Role.FAULT or self.name == "release_connection"

    def parameter(self, name: str) -> Parameter:
        """Return a parameter by name; raise UsageError if the action has none of that name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        known = ", ".join(p.name for p in self.parameters) or "none"
        message = f"{self.name}: unknown argument {name!r}; it takes: {known}"
        raise UsageError(message)


MAX_WORKERS = 5
PRIORITIES = ("low", "normal", "high", "critical")
RETRY_STRATEGIES = ("exponential", "linear", "fixed", "none")
STOP_MODES = ("fast", "immediate", "kill")
KILL_SIGNALS = ("kill", "term")

_WORKER = Parameter(name="worker", low=1, high=MAX_WORKERS, default=1, meaning="worker slot")
_TASK = Parameter(name="task", low=1, high=999, default=1, meaning="task, in order of creation")

CATALOGUE: tuple[Action, ...] = (
    Action(
        name="create_tasks",
        role=Role.LOAD,
        summary="create tasks over HTTP",
        parameters=(
            Parameter(name="count", low=1, high=10, default=1, meaning="how many"),
            Parameter(name="duration_ms", low=0, high=5000, default=0, meaning="work of each"),
            Parameter(name="priority", low=0, high=3, default=1, meaning="rank", labels=PRIORITIES),
            Parameter(name="delay_ms", low=0, high=5000, default=0, meaning="scheduled so late"),
            Parameter(name="failures", low=0, high=9, default=0, meaning="attempts that fail"),
            Parameter(
                name="strategy", low=0, high=3, default=2, meaning="retry", labels=RETRY_STRATEGIES
            ),
            Parameter(
                name="lost_reply",
                low=0,
                high=1,
                default=0,
                meaning="first reply lost, same key sent again",
                labels=("no", "yes"),
            ),
        ),
    ),
    Action(name="cancel_task", role=Role.LOAD, summary="cancel a task", parameters=(_TASK,)),
    Action(name="retry_task", role=Role.LOAD, summary="retry a failed task", parameters=(_TASK,)),
    Action(
        name="kill_worker",
        role=Role.FAULT,
        summary="end a worker process",
        parameters=(
            _WORKER,
            Parameter(
                name="signal", low=0, high=1, default=0, meaning="signal", labels=KILL_SIGNALS
            ),
        ),
    ),
    Action(
        name="start_worker",
        role=Role.HEAL,
        summary="start a worker that is down",
        parameters=(_WORKER,),
        heals="kill_worker",
    ),
    Action(name="pause_worker", role=Role.FAULT, summary="freeze a worker", parameters=(_WORKER,)),
    Action(
        name="resume_worker",
        role=Role.HEAL,
        summary="let a frozen worker go on",
        parameters=(_WORKER,),
        heals="pause_worker",
    ),
    Action(
        name="scale_workers",
        role=Role.FAULT,
        summary="run exactly so many workers",
        parameters=(
            Parameter(name="workers", low=0, high=MAX_WORKERS, default=1, meaning="how many"),
        ),
    ),
    Action(
        name="stop_database",
        role=Role.FAULT,
        summary="stop PostgreSQL",
        parameters=(
            Parameter(name="mode", low=0, high=2, default=0, meaning="how", labels=STOP_MODES),
        ),
    ),
    Action(
        name="start_database", role=Role.HEAL, summary="start PostgreSQL", heals="stop_database"
    ),
    Action(
        name="terminate_backend",
        role=Role.FAULT,
        summary="end a database session of one worker, or all it has",
        parameters=(
            _WORKER,
            Parameter(name="session", low=0, high=4, default=0, meaning="oldest is 1; 0 for all"),
        ),
    ),
    Action(
        name="cut_connection",
        role=Role.FAULT,
        summary="cut a worker off from the database for an instant; it lives on",
        parameters=(_WORKER,),
    ),
    Action(
        name="hold_connection",
        role=Role.FAULT,
        summary="let nothing pass between a worker and the database for a while",
        parameters=(
            _WORKER,
            Parameter(name="ms", low=0, high=5000, default=0, meaning="0: until released"),
        ),
    ),
    Action(
        name="release_connection",
        role=Role.HEAL,
        summary="let pass again what a worker and the database have to say",
        parameters=(_WORKER,),
        heals="hold_connection",
    ),
    Action(
        name="strand_session",
        role=Role.FAULT,
        summary="cut a worker off in a request; the database keeps the session and hears nothing",
        parameters=(_WORKER,),
        needs_moment=True,
    ),
    Action(
        name="cut_server",
        role=Role.FAULT,
        summary="cut the HTTP server off from the database for an instant; it lives on",
    ),
    Action(
        name="lose_reply",
        role=Role.FAULT,
        summary="lose the server's reply: the request took effect, the client never hears of it",
        needs_moment=True,
        strikes_client=True,
        side=Side.AFTER,
    ),
    Action(
        name="reset_request",
        role=Role.FAULT,
        summary="reset the client's connection before its request reaches the server",
        needs_moment=True,
        strikes_client=True,
        side=Side.BEFORE,
    ),
    Action(
        name="delay_reply",
        role=Role.FAULT,
        summary="deliver the server's reply late",
        parameters=(
            Parameter(name="ms", low=1, high=5000, default=100, meaning="milliseconds late"),
        ),
        needs_moment=True,
        strikes_client=True,
        side=Side.AFTER,
    ),
    Action(name="stop_server", role=Role.FAULT, summary="end the HTTP server gracefully"),
    Action(name="kill_server", role=Role.FAULT, summary="kill the HTTP server"),
    Action(
        name="restart_server",
        role=Role.FAULT,
        summary="end the HTTP server gracefully and start it again",
    ),
    Action(
        name="start_server", role=Role.HEAL, summary="start the HTTP server", heals="kill_server"
    ),
    Action(
        name="wait",
        role=Role.WAIT,
        summary="let time pass",
        parameters=(Parameter(name="ms", low=1, high=5000, default=50, meaning="milliseconds"),),
    ),
    Action(name="wait_idle", role=Role.WAIT, summary="wait until nothing is left to do"),
    Action(name="wait_lease", role=Role.WAIT, summary="wait until leases held now have expired"),
)


def find_action(name: str, catalogue: tuple[Action, ...] = CATALOGUE) -> Action:
    """Return the action of that name; raise UsageError listing those there are."""
    for action in catalogue:
        if action.name == name:
            return action
    known = ", ".join(action.name for action in catalogue)
    message = f"unknown action {name!r}; actions are: {known}"
    raise UsageError(message)
