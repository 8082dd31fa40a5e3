"""The reference system in containers of a Docker engine."""

from chaosfuzz.targets.docker.target import DockerTarget

__all__ = ["DockerTarget"]
