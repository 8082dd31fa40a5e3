"""The protocol-aware proxy between components and PostgreSQL, and clients and HTTP servers."""

from chaosfuzz.domain.moment import Side
from chaosfuzz.wire.component import Upstream
from chaosfuzz.wire.event import Event, RequestKind, Status
from chaosfuzz.wire.intervention import (
    Controller,
    Cut,
    Delay,
    Hold,
    Intervention,
    LetPass,
    Release,
    Strike,
    Zombie,
)
from chaosfuzz.wire.lane import LaneWire
from chaosfuzz.wire.proxy import Proxy
from chaosfuzz.wire.rules import Phase, Rule, RuleController, TraceEntry
from chaosfuzz.wire.statement import Statement

__all__ = [
    "Controller",
    "Cut",
    "Delay",
    "Event",
    "Hold",
    "Intervention",
    "LaneWire",
    "LetPass",
    "Phase",
    "Proxy",
    "Release",
    "RequestKind",
    "Rule",
    "RuleController",
    "Side",
    "Statement",
    "Status",
    "Strike",
    "TraceEntry",
    "Upstream",
    "Zombie",
]
