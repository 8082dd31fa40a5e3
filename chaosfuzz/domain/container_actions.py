"""What can be done to components that are containers, each fault with what heals it."""

from typing import Literal

from chaosfuzz.domain.action_kind import Action, Parameter, Role

MAX_WORKERS = 5
SERVER_PEERS = ("database", "clients")

NETWORK, FILTER, RESET = "network", "packet-filter", "reset"
LIMITS, MEMORY, DISK, CLOCK = "limits", "memory", "disk", "clock"
RESTART = "restart-policy"
ABILITIES = (NETWORK, FILTER, RESET, LIMITS, MEMORY, DISK, CLOCK, RESTART)

Restart = Literal["never", "on-failure", "always"]
RESTART_POLICIES: tuple[Restart, ...] = ("never", "on-failure", "always")

_WORKER = Parameter(name="worker", low=1, high=MAX_WORKERS, default=1, meaning="worker slot")


def _healing(name: str, summary: str, heals: str, ability: str, *, worker: bool = True) -> Action:
    return Action(
        name=name,
        role=Role.HEAL,
        summary=summary,
        parameters=(_WORKER,) if worker else (),
        heals=heals,
        ability=ability,
    )


CONTAINER_ACTIONS: tuple[Action, ...] = (
    Action(
        name="disconnect_worker",
        role=Role.FAULT,
        summary="take a worker's container off its network; nothing says goodbye",
        parameters=(_WORKER,),
        ability=NETWORK,
    ),
    _healing(
        "connect_worker", "put it on the network again, same address", "disconnect_worker", NETWORK
    ),
    Action(
        name="partition_worker",
        role=Role.FAULT,
        summary="drop every packet between a worker and the database",
        parameters=(_WORKER,),
        ability=FILTER,
    ),
    _healing("rejoin_worker", "let its packets pass again", "partition_worker", FILTER),
    Action(
        name="partition_server",
        role=Role.FAULT,
        summary="drop every packet between the HTTP server and its database or its clients",
        parameters=(
            Parameter(name="peer", low=0, high=1, default=0, meaning="whom", labels=SERVER_PEERS),
        ),
        ability=FILTER,
    ),
    _healing(
        "rejoin_server", "let its packets pass again", "partition_server", FILTER, worker=False
    ),
    Action(
        name="lose_packets",
        role=Role.FAULT,
        summary="drop so many of a hundred packets that a worker sends and receives",
        parameters=(
            _WORKER,
            Parameter(name="percent", low=1, high=100, default=30, meaning="lost of a hundred"),
        ),
        ability=FILTER,
    ),
    _healing("restore_packets", "lose no more packets", "lose_packets", FILTER),
    Action(
        name="reset_connections",
        role=Role.FAULT,
        summary="reset all open connections of a worker's container; it may connect again",
        parameters=(_WORKER,),
        ability=RESET,
    ),
    Action(
        name="limit_cpu",
        role=Role.FAULT,
        summary="give a worker so many hundredths of a processor",
        parameters=(
            _WORKER,
            Parameter(name="percent", low=1, high=100, default=10, meaning="of one processor"),
        ),
        ability=LIMITS,
    ),
    Action(
        name="limit_memory",
        role=Role.FAULT,
        summary="leave a worker so many MB beyond what it uses now",
        parameters=(
            _WORKER,
            Parameter(name="mb", low=1, high=256, default=16, meaning="megabytes to spare"),
        ),
        ability=LIMITS,
    ),
    _healing("lift_limits", "give it processor and memory again", "limit_cpu", LIMITS),
    Action(
        name="exhaust_memory",
        role=Role.FAULT,
        summary="have the kernel kill a worker for lack of memory",
        parameters=(_WORKER,),
        ability=MEMORY,
    ),
    Action(name="fill_disk", role=Role.FAULT, summary="fill the database's disk", ability=DISK),
    _healing("free_disk", "free the database's disk", "fill_disk", DISK, worker=False),
    Action(
        name="skew_clock",
        role=Role.FAULT,
        summary="set a worker's wall clock wrong",
        parameters=(
            _WORKER,
            Parameter(
                name="ms", low=-3_600_000, high=3_600_000, default=5000, meaning="ahead of time"
            ),
        ),
        ability=CLOCK,
    ),
    _healing("right_clock", "set its wall clock right", "skew_clock", CLOCK),
    Action(
        name="set_restart_policy",
        role=Role.FAULT,
        summary="say whether a worker that ends is started again, killed ones included",
        parameters=(
            _WORKER,
            Parameter(
                name="policy", low=0, high=2, default=2, meaning="when", labels=RESTART_POLICIES
            ),
        ),
        ability=RESTART,
    ),
)
