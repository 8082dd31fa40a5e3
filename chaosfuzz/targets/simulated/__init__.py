"""A job queue simulated in logical time, to try chaosfuzz itself on."""

from chaosfuzz.targets.simulated.flakiness import Flakiness
from chaosfuzz.targets.simulated.runner import SimulatedRunner
from chaosfuzz.targets.simulated.target import SimulatedTarget

__all__ = ["Flakiness", "SimulatedRunner", "SimulatedTarget"]
