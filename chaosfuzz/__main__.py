"""`python -m chaosfuzz`."""

from chaosfuzz.cli import main

main()
