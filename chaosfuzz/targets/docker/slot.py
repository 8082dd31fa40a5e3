"""The containers of one component: one in use, and one that is ready to take its place."""

from collections.abc import Callable

from chaosfuzz.targets.docker.container import Container


class Slot:
    """Two containers that take turns: while the dead one is booted again, the other is up.

    The second one is made when the first has died for the first time.
    """

    def __init__(self, make: Callable[[str], Container]) -> None:
        self._make = make
        self._containers = [make("a")]
        self.current = self._containers[0]

    @property
    def containers(self) -> tuple[Container, ...]:
        """All there are."""
        return tuple(self._containers)

    def swap(self) -> Container:
        """Put the other container in the place of one that has died; return it."""
        if len(self._containers) == 1:
            self._containers.append(self._make("b"))
        first, second = self._containers
        self.current = second if self.current is first else first
        self.current.boot_ahead()
        return self.current
