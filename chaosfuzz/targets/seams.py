"""Where the HTTP server of a system is, whatever it runs as."""

from typing import Protocol


class ServerPlace(Protocol):
    """Where the HTTP server listens, also while it is down."""

    @property
    def host(self) -> str:
        """The address."""
        ...

    @property
    def number(self) -> int:
        """The port."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...
