"""Systems that somebody else's compose file runs."""

from chaosfuzz.targets.compose.target import ComposeTarget

__all__ = ["ComposeTarget"]
