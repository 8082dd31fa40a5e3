"""The reference system left running in the background, with a supervisor that takes orders."""

from chaosfuzz.targets.standing.control import Order, Verb, give_order
from chaosfuzz.targets.standing.pace import MAX_SPEED
from chaosfuzz.targets.standing.plan import Plan
from chaosfuzz.targets.standing.services import MAX_WORKERS, Services
from chaosfuzz.targets.standing.starting import start_supervisor
from chaosfuzz.targets.standing.state import State, find_state, forget_state, state_path
from chaosfuzz.targets.standing.status import ServiceState, Status

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
