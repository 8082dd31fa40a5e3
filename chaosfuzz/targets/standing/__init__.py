"""The reference system running in the background, with a supervisor that takes orders."""

from chaosfuzz.targets.standing.control import Order, ServiceState, Status, Verb, give_order
from chaosfuzz.targets.standing.pace import MAX_SPEED
from chaosfuzz.targets.standing.services import MAX_WORKERS, Services
from chaosfuzz.targets.standing.starting import Plan, start_supervisor
from chaosfuzz.targets.standing.state import State, find_state, forget_state, state_path

__all__ = [
    "MAX_SPEED",
    "MAX_WORKERS",
    "Order",
    "Plan",
    "ServiceState",
    "Services",
    "State",
    "Status",
    "Verb",
    "find_state",
    "forget_state",
    "give_order",
    "start_supervisor",
    "state_path",
]
