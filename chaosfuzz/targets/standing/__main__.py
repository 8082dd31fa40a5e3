"""The supervisor's process, as `start_supervisor` runs it; FD is the ready descriptor.

Usage: `python -m chaosfuzz.targets.standing FD`, with the plan as JSON on standard input.
"""

import sys

from chaosfuzz.targets.standing.supervisor import supervise

if __name__ == "__main__":
    sys.exit(supervise(int(sys.argv[1])))
