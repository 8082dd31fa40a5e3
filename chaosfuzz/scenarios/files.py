"""Scenarios from files: TOML that names phases, or Python with a function `plan(level)`."""

import json
import re
import tomllib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.user_file import import_file
from chaosfuzz.scenarios.builtin import Scenario
from chaosfuzz.scenarios.levels import LEVELS, Level
from chaosfuzz.scenarios.phases import (
    AwaitBreaker,
    AwaitShare,
    AwaitTasks,
    Chaos,
    CheckAdmin,
    CheckApi,
    Create,
    ExpectKept,
    KillServer,
    KillWorker,
    Phase,
    Program,
    Scale,
    StopDatabase,
    Wait,
)

PHASES: Mapping[str, type[Phase]] = {
    "create": Create,
    "await_tasks": AwaitTasks,
    "await_share": AwaitShare,
    "wait": Wait,
    "kill_worker": KillWorker,
    "chaos": Chaos,
    "kill_server": KillServer,
    "stop_database": StopDatabase,
    "scale": Scale,
    "await_breaker": AwaitBreaker,
    "expect_kept": ExpectKept,
    "check_api": CheckApi,
    "check_admin": CheckAdmin,
}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class _File(BaseModel):
    """What a TOML file holds; what is left out comes from the level."""

    model_config = ConfigDict(extra="forbid", strict=True)

    summary: str
    phases: list[dict[str, object]]
    workers: int | None = None
    deadline_s: float | None = None
    completion: float | None = None
    may_be_late: bool | None = None


def load_file(path: Path) -> Scenario:
    """Return the scenario of a file, named after it.

    Raises UsageError with file, key, value and remedy if it makes no sense.
    """
    if not _NAME.fullmatch(path.stem):
        message = f"{path}: {path.stem!r} is no name"
        raise UsageError(cause=message, remedy="use lower case letters, digits and hyphens")
    return _load_python(path) if path.suffix == ".py" else _load_toml(path)


def _load_toml(path: Path) -> Scenario:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            cause=f"{path}: cannot be read as TOML: {error}", remedy="correct the file"
        ) from error
    try:
        parsed = _File.model_validate(content)
    except ValidationError as error:
        raise _refusal(path, error, "", list(_File.model_fields)) from error
    for index, phase in enumerate(parsed.phases):
        # What the level gives is only known later; all else can be said now.
        _phase(path, index, phase, None)
    plan = partial(_program, path, parsed)
    scenario = Scenario(name=path.stem, summary=parsed.summary, plan=plan, source=str(path))
    _check_figures(path, scenario)
    return scenario


def _check_figures(path: Path, scenario: Scenario) -> None:
    try:
        scenario.plan(LEVELS[1])
    except ValueError as error:
        raise UsageError(cause=f"{path}: {error}", remedy="correct the figure") from error


def _program(path: Path, parsed: _File, level: Level) -> Program:
    return Program(
        workers=level.workers if parsed.workers is None else parsed.workers,
        phases=tuple(_phase(path, index, each, level) for index, each in enumerate(parsed.phases)),
        deadline_s=level.deadline_s if parsed.deadline_s is None else parsed.deadline_s,
        completion=level.completion if parsed.completion is None else parsed.completion,
        may_be_late=level.may_be_late if parsed.may_be_late is None else parsed.may_be_late,
    )


def _phase(path: Path, index: int, given: Mapping[str, object], level: Level | None) -> Phase:
    where = f"phases[{index}]."
    arguments = dict(given)
    kind = arguments.pop("do", None)
    if not isinstance(kind, str) or kind not in PHASES:
        raise UsageError(
            cause=f"{path}: {where}do is {kind!r}", remedy=f"use one of {', '.join(PHASES)}"
        )
    known = [field.name for field in fields(PHASES[kind])]
    for key, value in arguments.items():
        if key not in known:
            raise UsageError(
                cause=f"{path}: {where}{key} = {value!r} is unknown to {kind}",
                remedy=f"use what it takes: {', '.join(known) or 'nothing'}",
            )
    for key, value in _of_level(kind, level).items():
        arguments.setdefault(key, value)
    try:
        # As JSON, for which strictness means neither "3" for 3 nor a list refused for a tuple.
        text = json.dumps(arguments, default=str)
        made: Phase = TypeAdapter(PHASES[kind]).validate_json(text, strict=True)
    except ValidationError as error:
        raise _refusal(path, error, where, known) from error
    return made


def _of_level(kind: str, level: Level | None) -> dict[str, object]:
    """Return what a phase takes from the level unless the file says otherwise."""
    if kind == "create":
        return {
            "count": level.tasks if level else 1,
            "task_s": level.task_s if level else 1.0,
        }
    if kind == "chaos":
        return {
            "interval_s": level.interval_s if level else (1.0, 2.0),
            "at_least": level.kills if level else 1,
        }
    return {}


def _refusal(path: Path, error: ValidationError, where: str, known: list[str]) -> UsageError:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    problem = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return UsageError(cause=f"{path}: {where}{key} is missing", remedy="give it a value")
    if first["type"] == "extra_forbidden":
        remedy = f"use the keys of a scenario: {', '.join(known)}"
        return UsageError(cause=f"{path}: {where}{key} is unknown", remedy=remedy)
    value = f"{key} = {first['input']!r}: " if key else ""
    return UsageError(cause=f"{path}: {where}{value}{problem}", remedy="correct the file")


def _load_python(path: Path) -> Scenario:
    module = import_file(path, "scenario")
    plan = getattr(module, "plan", None)
    if not callable(plan):
        raise UsageError(
            cause=f"{path}: has no function plan(level) that returns a Program", remedy="add one"
        )
    summary = (plan.__doc__ or module.__doc__ or "").strip().split("\n")[0].rstrip(".")
    return Scenario(
        name=path.stem, summary=summary, plan=partial(_planned, path, plan), source=str(path)
    )


def _planned(path: Path, plan: Callable[[Level], object], level: Level) -> Program:
    """Ask the user's function; whatever goes wrong in it is told with its file."""
    try:
        program = plan(level)
    except Exception as error:
        cause = traceback.format_exception_only(error)[-1].strip()
        raise UsageError(
            cause=f"{path}: plan(level {level.number}) failed: {cause}", remedy="correct the file"
        ) from error
    if not isinstance(program, Program):
        message = f"{path}: plan(level) gave {program!r:.60}, which is no Program"
        raise UsageError(cause=message, remedy="return one")
    return program
