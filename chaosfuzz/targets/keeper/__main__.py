"""The keeper process: `python -m chaosfuzz.targets.keeper FD` serves the control socket FD."""

import socket
import sys

from chaosfuzz.targets.keeper.server import KeeperServer

if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as control:
        control.set_inheritable(False)
        KeeperServer(control).serve()
