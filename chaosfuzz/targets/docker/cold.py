"""Lanes that keep nothing: what a schedule costs if everything is made anew for it."""

from pathlib import Path

from chaosfuzz.targets.docker.system import DockerSystem
from chaosfuzz.targets.docker.target import DockerLane, MakeWire
from chaosfuzz.targets.process.tuning import Tuning


class ColdDockerLane:
    """Each schedule gets a network, a database and containers of its own (implements Lane)."""

    def __init__(self, index: int, directory: Path, tuning: Tuning, make_wire: MakeWire) -> None:
        self._index = index
        self._directory = directory
        self._tuning = tuning
        self._make_wire = make_wire

    def open(self, workers: int) -> DockerSystem:
        """Make everything; what is returned removes it when it is closed."""
        lane = DockerLane(self._index, self._directory, self._tuning, self._make_wire)
        try:
            system = lane.open(workers)
        except BaseException:
            lane.close()
            raise
        system.afterwards = lane.close
        return system

    def close(self) -> None:
        """Nothing is kept."""
