"""The protocol-aware proxy between components and PostgreSQL, and clients and HTTP servers."""

from chaosfuzz.wire.lane import LaneWire

__all__ = ["LaneWire"]
