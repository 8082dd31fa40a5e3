"""The keeper: a small process that starts every process of a lane; all of them end with it."""

from chaosfuzz.targets.keeper.child import Child
from chaosfuzz.targets.keeper.client import Keeper
from chaosfuzz.targets.keeper.credentials import UnprivilegedWay
from chaosfuzz.targets.keeper.tree import ProcessTree

__all__ = ["Child", "Keeper", "ProcessTree", "UnprivilegedWay"]
