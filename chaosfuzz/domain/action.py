"""The actions a schedule can be made of: names, plain integer parameters, and what heals what."""

from chaosfuzz.domain.action_kind import Action, Parameter, Role
from chaosfuzz.domain.container_actions import CONTAINER_ACTIONS, MAX_WORKERS
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import Side

__all__ = [
    "CATALOGUE",
    "KILL_SIGNALS",
    "MAX_WORKERS",
    "PLAIN_ACTIONS",
    "PRIORITIES",
    "READABLE",
    "RETRY_STRATEGIES",
    "STOP_MODES",
    "TASK_TYPES",
    "USERS",
    "Action",
    "Parameter",
    "Role",
    "find_action",
]

PRIORITIES = ("low", "normal", "high", "critical")
RETRY_STRATEGIES = ("exponential", "linear", "fixed", "none")
USERS = ("first", "second")
READABLE = ("tasks", "dead-letters", "stats")
# Alike in all but their circuit breakers.
TASK_TYPES = ("probe", "probe_b", "probe_c")
STOP_MODES = ("fast", "immediate", "kill")
KILL_SIGNALS = ("kill", "term")

_WORKER = Parameter(name="worker", low=1, high=MAX_WORKERS, default=1, meaning="worker slot")
_TASK = Parameter(name="task", low=1, high=999, default=1, meaning="task, in order of creation")
_USER = Parameter(name="user", low=0, high=1, default=0, meaning="who asks", labels=USERS)

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
            _USER,
            Parameter(name="type", low=0, high=2, default=0, meaning="type", labels=TASK_TYPES),
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
    Action(
        name="read_api",
        role=Role.LOAD,
        summary="ask over HTTP what there is",
        parameters=(
            Parameter(name="what", low=0, high=2, default=0, meaning="of what", labels=READABLE),
            _USER,
            Parameter(name="limit", low=1, high=100, default=2, meaning="at most so many"),
        ),
    ),
    Action(
        name="ask_badly",
        role=Role.LOAD,
        summary="send requests over HTTP that have to be refused",
        parameters=(Parameter(name="count", low=1, high=10, default=1, meaning="how many"),),
    ),
    Action(
        name="restart_worker",
        role=Role.FAULT,
        summary="end a worker gracefully and start it again, whatever else is down",
        parameters=(_WORKER,),
    ),
    *CONTAINER_ACTIONS,
)
# What every target can that has processes at all.
PLAIN_ACTIONS = tuple(action.name for action in CATALOGUE if not action.ability)


def find_action(name: str, catalogue: tuple[Action, ...] = CATALOGUE) -> Action:
    """Return the action of that name; raise UsageError listing those there are."""
    for action in catalogue:
        if action.name == name:
            return action
    known = ", ".join(action.name for action in catalogue)
    message = f"unknown action {name!r}; actions are: {known}"
    raise UsageError(message)
