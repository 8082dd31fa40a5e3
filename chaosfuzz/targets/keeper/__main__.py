"""Run by `Keeper`: `python -m chaosfuzz.targets.keeper FD` serves the control socket FD."""

import socket
import sys

from chaosfuzz.targets.keeper.server import KeeperServer


def main() -> None:
    """Serve the control socket whose descriptor is the only argument, until it closes."""
    with socket.socket(fileno=int(sys.argv[1])) as control:
        control.set_inheritable(False)
        KeeperServer(control).serve()


if __name__ == "__main__":
    main()
