"""A job queue simulated in logical time, to try chaosfuzz itself on."""

from chaosfuzz.targets.simulated.system import SimulatedLane
from chaosfuzz.targets.simulated.target import SimulatedTarget

__all__ = ["SimulatedLane", "SimulatedTarget"]
