"""The actions that schedules consist of: each in one class, one file a family."""

# Lists show actions in the order of their registration, which is the order of these imports.
# `X as X` makes a name public.
# isort: off
from chaosfuzz.actions.action import (
    WORKER as WORKER,
    Action as Action,
    Choices as Choices,
    Healing as Healing,
    InjectedFault as InjectedFault,
    RequestFault as RequestFault,
    WorkerFault as WorkerFault,
    milliseconds as milliseconds,
)
from chaosfuzz.actions.context import (
    NOT_APPLICABLE as NOT_APPLICABLE,
    ActionContext as ActionContext,
    lacks as lacks,
)
from chaosfuzz.actions.plan import PlanModel as PlanModel
from chaosfuzz.actions.registry import (
    action_of as action_of,
    all_actions as all_actions,
    apply as apply,
    find_action as find_action,
    heal_all as heal_all,
    make_step as make_step,
    offered as offered,
    perform as perform,
    planned as planned,
    possible as possible,
    register as register,
    repaired as repaired,
    requester_of as requester_of,
    whose_moment as whose_moment,
)
from chaosfuzz.domain.abilities import Ability as Ability
from chaosfuzz.domain.action import Parameter as Parameter, Role as Role
from chaosfuzz.domain.fault import Performed as Performed
from chaosfuzz.domain.schedule import Step as Step

from chaosfuzz.actions.work import (
    ask_badly as ask_badly,
    cancel_task as cancel_task,
    create_tasks as create_tasks,
    read_api as read_api,
    retry_task as retry_task,
)
from chaosfuzz.actions.waits import wait as wait, wait_idle as wait_idle, wait_lease as wait_lease
from chaosfuzz.actions.workers import (
    kill_worker as kill_worker,
    pause_worker as pause_worker,
    restart_worker as restart_worker,
    resume_worker as resume_worker,
    scale_workers as scale_workers,
    set_restart_policy as set_restart_policy,
    start_worker as start_worker,
)
from chaosfuzz.actions.database import (
    start_database as start_database,
    stop_database as stop_database,
    terminate_backend as terminate_backend,
)
from chaosfuzz.actions.connections import (
    cut_connection as cut_connection,
    cut_server as cut_server,
    hold_connection as hold_connection,
    release_connection as release_connection,
    strand_session as strand_session,
)
from chaosfuzz.actions.replies import (
    delay_reply as delay_reply,
    lose_reply as lose_reply,
    reset_request as reset_request,
)
from chaosfuzz.actions.server import (
    kill_server as kill_server,
    restart_server as restart_server,
    start_server as start_server,
    stop_server as stop_server,
)
from chaosfuzz.actions.network import (
    connect_worker as connect_worker,
    disconnect_worker as disconnect_worker,
    lose_packets as lose_packets,
    partition_server as partition_server,
    partition_worker as partition_worker,
    rejoin_server as rejoin_server,
    rejoin_worker as rejoin_worker,
    reset_connections as reset_connections,
    restore_packets as restore_packets,
)
from chaosfuzz.actions.limits import (
    exhaust_memory as exhaust_memory,
    lift_limits as lift_limits,
    limit_cpu as limit_cpu,
    limit_memory as limit_memory,
)
from chaosfuzz.actions.disk_and_clock import (
    fill_disk as fill_disk,
    free_disk as free_disk,
    right_clock as right_clock,
    skew_clock as skew_clock,
)
# isort: on
