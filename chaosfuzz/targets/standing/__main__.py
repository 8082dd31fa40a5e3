"""Run by `start_supervisor`: `python -m chaosfuzz.targets.standing FD`."""

import sys

from chaosfuzz.targets.standing.supervisor import supervise

if __name__ == "__main__":
    sys.exit(supervise(int(sys.argv[1])))
