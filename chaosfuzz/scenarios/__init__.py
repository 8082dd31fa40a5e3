"""Scenarios: levels, phases, criteria, and what runs them."""

from chaosfuzz.scenarios.builtin import SCENARIOS, Scenario
from chaosfuzz.scenarios.levels import LEVELS, Level, find_level
from chaosfuzz.scenarios.parts import ApiCheck, Pace, ScenarioParts
from chaosfuzz.scenarios.phases import (
    AwaitBreaker,
    AwaitShare,
    AwaitTasks,
    Call,
    Chaos,
    CheckAdmin,
    CheckApi,
    Create,
    ExpectKept,
    KillServer,
    KillWorker,
    Program,
    Scale,
    StopDatabase,
    Wait,
)
from chaosfuzz.scenarios.runner import ScenarioRunner
from chaosfuzz.scenarios.stage import Stage

__all__ = [
    "LEVELS",
    "SCENARIOS",
    "ApiCheck",
    "AwaitBreaker",
    "AwaitShare",
    "AwaitTasks",
    "Call",
    "Chaos",
    "CheckAdmin",
    "CheckApi",
    "Create",
    "ExpectKept",
    "KillServer",
    "KillWorker",
    "Level",
    "Pace",
    "Program",
    "Scale",
    "Scenario",
    "ScenarioParts",
    "ScenarioRunner",
    "Stage",
    "StopDatabase",
    "Wait",
    "find_level",
]
