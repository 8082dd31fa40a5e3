"""Loads scenarios from files: TOML with phases, or Python with a function `plan(level)`."""

import re
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, ValidationError

from chaosfuzz.checked_toml import (
    FromToml,
    Place,
    Problem,
    Table,
    key,
    problems_in,
    read_toml,
)
from chaosfuzz.domain.errors import UsageError, WrongValueError
from chaosfuzz.domain.user_file import import_file
from chaosfuzz.scenarios.builtin import Scenario
from chaosfuzz.scenarios.levels import LEVELS, Level
from chaosfuzz.scenarios.phases import MAX_S, MAX_WORKERS, Phase, Program, TomlPhase

# The phases that a TOML file can name, such as AwaitTasks by await_tasks.
PHASES: Mapping[str, type[TomlPhase]] = {
    re.sub(r"(?<=.)(?=[A-Z])", "_", phase.__name__).lower(): phase for phase in get_args(TomlPhase)
}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class _File(Table):
    """The keys of a TOML file. Keys that are left out come from the level."""

    summary: str = key("one line about the scenario")
    phases: Annotated[tuple[dict[str, Any], ...], FromToml, Field(min_length=1)] = key(
        "what is done, in order"
    )
    workers: int | None = key("how many workers", None, ge=1, le=MAX_WORKERS)
    deadline_s: float | None = key("when tasks have to be completed", None, ge=0.001, le=MAX_S)
    completion: float | None = key("share of tasks to be completed by then", None, ge=0, le=1)
    may_be_late: bool | None = key("whether tasks may be completed later", None)


def load_file(path: Path) -> Scenario:
    """Return the scenario of a file, named after it. A Python file is executed.

    Raises:
        UsageError: the file has an error; for TOML the message names all errors by line.

    """
    if not _NAME.fullmatch(path.stem):
        message = f"{path}: {path.stem!r} is no name of a scenario"
        raise UsageError(cause=message, remedy="use lower case letters, digits and hyphens")
    return _load_python(path) if path.suffix == ".py" else _load_toml(path)


def _load_toml(path: Path) -> Scenario:
    file = read_toml(path, "a scenario", "see docs/scenarios.md")
    problems: list[Problem] = []
    try:
        plan = partial(_program, _File.model_validate(file.value))
    except ValidationError as error:
        problems += problems_in(error, _File)
    phases = file.value.get("phases")
    for index, given in enumerate(phases if isinstance(phases, list) else []):
        problems += _problems_of_phase(("phases", index), given)
    if problems:
        raise file.refuse(*problems)
    return Scenario(name=path.stem, summary=file.value["summary"], plan=plan, source=str(path))


def _program(file: _File, level: Level) -> Program:
    given = file.model_dump(exclude={"summary", "phases"}, exclude_none=True)
    of_level: dict[str, Any] = {
        "workers": level.workers,
        "deadline_s": level.deadline_s,
        "completion": level.completion,
        "may_be_late": level.may_be_late,
    }
    phases = tuple(_phase(each, level) for each in file.phases)
    return Program(**{**of_level, **given, "phases": phases})


def _phase(given: Mapping[str, Any], level: Level) -> Phase:
    of_level: dict[str, dict[str, Any]] = {
        "create": {"count": level.tasks, "task_s": level.task_s},
        "chaos": {"interval_s": level.interval_s, "at_least": level.kills},
    }
    kind, arguments = given["do"], {k: value for k, value in given.items() if k != "do"}
    return PHASES[kind].model_validate({**of_level.get(kind, {}), **arguments})


def _problems_of_phase(place: Place, given: object) -> list[Problem]:
    if not isinstance(given, dict):
        # The model of the file reports this.
        return []
    kind = given.get("do")
    if not isinstance(kind, str) or kind not in PHASES:
        remedy = f"use one of: {', '.join(PHASES)}"
        return [((*place, "do"), f"phases[{place[1]}].do is {kind!r}", remedy)]
    try:
        # Levels differ in figures, not in keys, so one level suffices for the check.
        _phase(given, LEVELS[1])
    except ValidationError as error:
        return list(problems_in(error, PHASES[kind], place))
    return []


def _load_python(path: Path) -> Scenario:
    module = import_file(path, "scenario")
    plan = getattr(module, "plan", None)
    if not callable(plan):
        raise UsageError(
            cause=f"{path}: has no function plan(level) that returns a Program",
            remedy="add it, see docs/scenarios.md",
        )
    summary = (plan.__doc__ or module.__doc__ or "").strip().split("\n")[0].rstrip(".")
    return Scenario(
        name=path.stem, summary=summary, plan=partial(_planned, path, plan), source=str(path)
    )


def _planned(path: Path, plan: Callable[[Level], object], level: Level) -> Program:
    """Call the user's function; raise UsageError with its file for any error in it."""
    try:
        program = plan(level)
    except Exception as error:
        cause, remedy = _words(error)
        message = f"{path}: plan(level {level.number}) failed: {cause}"
        raise UsageError(cause=message, remedy=remedy) from error
    if not isinstance(program, Program):
        message = f"{path}: plan(level) gave {program!r:.60}, which is no Program"
        raise UsageError(cause=message, remedy="return a chaosfuzz.scenarios.Program")
    return program


def _words(error: Exception) -> tuple[str, str]:
    """Return the cause and the remedy of an error in a user's function."""
    if isinstance(error, ValidationError):
        phase = next((each for each in PHASES.values() if each.__name__ == error.title), Table)
        _, causes, remedies = zip(*problems_in(error, phase), strict=True)
        return f"{error.title}: {', '.join(causes)}", ", ".join(remedies)
    if isinstance(error, WrongValueError):
        return str(error), error.remedy
    return traceback.format_exception_only(error)[-1].strip(), "correct the file"
