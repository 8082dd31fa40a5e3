"""The keeper: one small process that starts every process of a lane, so that all die with it."""

from chaosfuzz.targets.keeper.child import Child
from chaosfuzz.targets.keeper.client import Keeper
from chaosfuzz.targets.keeper.credentials import UnprivilegedWay
from chaosfuzz.targets.keeper.tree import ProcessTree

__all__ = ["Child", "Keeper", "ProcessTree", "UnprivilegedWay"]
