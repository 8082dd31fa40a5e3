"""Everything a schedule can be made of: each action in one class, one file a family."""

from chaosfuzz.actions.action import WORKER, Action, Choices, RequestFault, WorkerFault
from chaosfuzz.actions.context import NOT_APPLICABLE, ActionContext, lacks
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import (
    action_of,
    all_actions,
    apply,
    find_action,
    heal_all,
    make_step,
    offered,
    perform,
    planned,
    possible,
    register,
    repaired,
    requester_of,
    whose_moment,
)
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.action import Parameter, Role
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.schedule import Step

# Lists show actions in the order in which they are registered, hence imported here.
# isort: off
from chaosfuzz.actions.work import (
    ask_badly,
    cancel_task,
    create_tasks,
    read_api,
    retry_task,
)
from chaosfuzz.actions.waits import wait, wait_idle, wait_lease
from chaosfuzz.actions.workers import (
    kill_worker,
    pause_worker,
    restart_worker,
    resume_worker,
    scale_workers,
    set_restart_policy,
    start_worker,
)
from chaosfuzz.actions.database import start_database, stop_database, terminate_backend
from chaosfuzz.actions.connections import (
    cut_connection,
    cut_server,
    hold_connection,
    release_connection,
    strand_session,
)
from chaosfuzz.actions.replies import delay_reply, lose_reply, reset_request
from chaosfuzz.actions.server import kill_server, restart_server, start_server, stop_server
from chaosfuzz.actions.network import (
    connect_worker,
    disconnect_worker,
    lose_packets,
    partition_server,
    partition_worker,
    rejoin_server,
    rejoin_worker,
    reset_connections,
    restore_packets,
)
from chaosfuzz.actions.limits import exhaust_memory, lift_limits, limit_cpu, limit_memory
from chaosfuzz.actions.disk_and_clock import fill_disk, free_disk, right_clock, skew_clock
# isort: on

__all__ = [
    "NOT_APPLICABLE",
    "WORKER",
    "Ability",
    "Action",
    "ActionContext",
    "Choices",
    "Parameter",
    "Performed",
    "PlanModel",
    "RequestFault",
    "Role",
    "Step",
    "WorkerFault",
    "action_of",
    "all_actions",
    "apply",
    "ask_badly",
    "cancel_task",
    "connect_worker",
    "create_tasks",
    "cut_connection",
    "cut_server",
    "delay_reply",
    "disconnect_worker",
    "exhaust_memory",
    "fill_disk",
    "find_action",
    "free_disk",
    "heal_all",
    "hold_connection",
    "kill_server",
    "kill_worker",
    "lacks",
    "lift_limits",
    "limit_cpu",
    "limit_memory",
    "lose_packets",
    "lose_reply",
    "make_step",
    "offered",
    "partition_server",
    "partition_worker",
    "pause_worker",
    "perform",
    "planned",
    "possible",
    "read_api",
    "register",
    "rejoin_server",
    "rejoin_worker",
    "release_connection",
    "repaired",
    "requester_of",
    "reset_connections",
    "reset_request",
    "restart_server",
    "restart_worker",
    "restore_packets",
    "resume_worker",
    "retry_task",
    "right_clock",
    "scale_workers",
    "set_restart_policy",
    "skew_clock",
    "start_database",
    "start_server",
    "start_worker",
    "stop_database",
    "stop_server",
    "strand_session",
    "terminate_backend",
    "wait",
    "wait_idle",
    "wait_lease",
    "whose_moment",
]
