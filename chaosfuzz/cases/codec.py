"""Cases as YAML that reads aloud; whatever is not a case is refused with line and remedy."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chaosfuzz.actions import find_action, make_step
from chaosfuzz.cases.plainyaml import Document, read, write_inline
from chaosfuzz.domain.case import PROCESS, Case, Confirmed, Found, Needed, Rate
from chaosfuzz.domain.contract import Guarantee
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import Moment, Side
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.verdict import Kind, Signature, Verdict

VERSION = 1
AT = "at"
MAX_STEPS = 1000
_SHOWN = 80


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Target(_Strict):
    name: str
    defects: list[str] = Field(default_factory=list)
    on: Literal["process", "docker"] = "process"
    profile: str = ""


class _Signature(_Strict):
    invariant: str
    kind: str
    role: str


class _Rate(_Strict):
    violations: int = Field(ge=0)
    attempts: int = Field(ge=0)


class _Confirmed(_Rate):
    on: Literal["process", "docker"]


class _Found(_Strict):
    date: str
    seed: int = Field(ge=0)
    steps: int = Field(ge=0)
    executions_to_shrink: int = Field(ge=0)


class _Needed(_Rate):
    step: int = Field(ge=1)


class _File(_Strict):
    chaosfuzz_case: int
    title: str
    target: _Target
    contract: str
    signature: _Signature
    reproduces: _Rate
    confirmed: _Confirmed | None = None
    found: _Found
    expect: Literal["violated", "holds"] = "holds"
    documented: str = ""
    workers: int
    steps: list[Any] = Field(max_length=MAX_STEPS)
    needed: list[_Needed] = Field(default_factory=list)


def dump_case(case: Case) -> str:
    """Return the case as YAML, keys in the order in which one would tell it."""
    signature, found = case.signature, case.found
    lines = [
        f"chaosfuzz_case: {VERSION}",
        f"title: {write_inline(case.title)}",
        f"target: {write_inline(_show_target(case))}",
        f"contract: {write_inline(case.contract)}",
        "signature: "
        + write_inline(
            {"invariant": signature.invariant, "kind": signature.kind, "role": signature.role}
        ),
        f"reproduces: {write_inline(_show_rate(case.reproduces))}",
        *_show_confirmed(case.confirmed),
        "found: "
        + write_inline(
            {
                "date": found.date,
                "seed": found.seed,
                "steps": found.steps,
                "executions_to_shrink": found.executions_to_shrink,
            }
        ),
        f"expect: {case.expect}",
        *([f"documented: {write_inline(case.documented)}"] if case.documented else []),
        f"workers: {case.schedule.workers}",
        "steps:" if case.schedule.steps else "steps: []",
        *(f"  - {s.action}: {write_inline(_show_arguments(s))}" for s in case.schedule.steps),
        "needed:  # rate without the step" if case.needed else "needed: []",
        *(f"  - {write_inline({'step': n.step, **_show_rate(n.rate)})}" for n in case.needed),
    ]
    return "\n".join(lines) + "\n"


def load_case(text: str, origin: str) -> Case:
    """Return the case in a text; raises UsageError naming origin, line, value and remedy.

    A reference to a task that no step creates is allowed: such a step does nothing in a run.
    """
    document = read(text, origin)
    if not isinstance(document.value, dict) or "chaosfuzz_case" not in document.value:
        problem = f"not a case: it has no chaosfuzz_case: {VERSION}"
        raise document.refuse(problem, "give the path of a case file")
    _check_version(document.value["chaosfuzz_case"], document)
    try:
        file = _File.model_validate(document.value)
    except ValidationError as error:
        raise _refusal(error, document) from error
    return _to_case(file, document)


def _check_version(version: object, document: Document) -> None:
    path = ("chaosfuzz_case",)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        problem = f"chaosfuzz_case={_brief(version)} is no version"
        raise document.refuse(problem, f"it must be {VERSION}", path)
    if version > VERSION:
        problem = f"made by a newer chaosfuzz (format {_brief(version)})"
        raise document.refuse(problem, "upgrade chaosfuzz", path)


def _refusal(error: ValidationError, document: Document) -> UsageError:
    first = error.errors()[0]
    path = first["loc"]
    where = ".".join(str(part) for part in path)[:_SHOWN]
    if first["type"] == "missing":
        return document.refuse(f"{where} is missing", "add it", path)
    if path == ("serial_seed",):
        cause = "the key serial_seed was removed with --serial"
        return document.refuse(cause, "delete the line", path)
    if first["type"] == "extra_forbidden":
        return document.refuse(f"unknown key {where}", "remove it or upgrade chaosfuzz", path)
    problem = f"{where}={_brief(first['input'])}: {first['msg'].lower()}"
    return document.refuse(problem, "correct the value", path)


def _to_case(file: _File, document: Document) -> Case:
    _check_known(file.contract, [g.value for g in Guarantee], document, ("contract",))
    kinds = [kind.value for kind in Kind]
    _check_known(file.signature.kind, kinds, document, ("signature", "kind"))
    reproduces = _rate(file.reproduces, document, ("reproduces", "violations"))
    steps = tuple(_read_step(entry, document, index) for index, entry in enumerate(file.steps))
    try:
        schedule = Schedule(workers=file.workers, steps=steps)
    except UsageError as error:
        raise document.refuse(_brief_text(error.cause), error.remedy, ("workers",)) from error
    needed = []
    for index, entry in enumerate(file.needed):
        if entry.step > len(steps):
            problem = f"needed: step={_brief(entry.step)} is none of the {len(steps)}"
            raise document.refuse(problem, "remove it", ("needed", index, "step"))
        rate = _rate(entry, document, ("needed", index, "violations"))
        needed.append(Needed(step=entry.step, rate=rate))
    return Case(
        title=file.title,
        target=file.target.name,
        defects=tuple(file.target.defects),
        contract=file.contract,
        signature=Signature(**file.signature.model_dump()),
        schedule=schedule,
        reproduces=reproduces,
        found=Found(**file.found.model_dump()),
        expect=Verdict(file.expect),
        needed=tuple(needed),
        on=file.target.on,
        confirmed=_confirmed(file.confirmed, document),
        profile=file.target.profile,
        documented=file.documented,
    )


def _confirmed(shown: _Confirmed | None, document: Document) -> Confirmed | None:
    if shown is None:
        return None
    return Confirmed(on=shown.on, rate=_rate(shown, document, ("confirmed", "violations")))


def _check_known(
    value: str, known: list[str], document: Document, path: tuple[int | str, ...]
) -> None:
    if value not in known:
        problem = f"unknown {path[-1]} {_brief(value)}"
        raise document.refuse(problem, f"use one of: {', '.join(known)}", path)


def _rate(shown: _Rate, document: Document, path: tuple[int | str, ...]) -> Rate:
    if shown.violations > shown.attempts:
        problem = (
            f"violations={_brief(shown.violations)} are more than attempts={_brief(shown.attempts)}"
        )
        raise document.refuse(problem, "correct the figures", path)
    return Rate(violations=shown.violations, attempts=shown.attempts)


def _read_step(entry: object, document: Document, index: int) -> Step:
    path: tuple[int | str, ...] = ("steps", index)
    if not isinstance(entry, dict):
        problem = f"step {index + 1} is {_brief(entry)}"
        raise document.refuse(problem, "write it as `- action: {argument: value}`", path)
    if len(entry) != 1:
        names = ", ".join(map(str, entry)) or "none"
        problem = _brief_text(f"step {index + 1} has {len(entry)} actions ({names})")
        raise document.refuse(problem, "give each a line of its own", path)
    ((name, shown),) = entry.items()
    if not isinstance(shown, dict):
        problem = f"{name[:_SHOWN]}: {_brief(shown)} are no arguments"
        raise document.refuse(problem, "write {argument: value}", path)
    try:
        action = find_action(name)
        arguments = {k: action.parameter(k).read(v, name) for k, v in shown.items() if k != AT}
        return make_step(name, **arguments).pinned(_read_moment(shown.get(AT), name))
    except UsageError as error:
        raise document.refuse(_brief_text(error.cause), _brief_text(error.remedy), path) from error


def _read_moment(shown: object, name: str) -> Moment | None:
    """Return the moment in `{after: EVENT, nth: 1, on: worker-1, task: 2}`; raises UsageError."""
    if shown is None:
        return None
    sides = [side for side in Side if isinstance(shown, dict) and side.value in shown]
    if not isinstance(shown, dict) or len(sides) != 1:
        raise UsageError(
            cause=f"{name}: at={_brief(shown)} is no moment", remedy="write {after: EVENT, nth: 1}"
        )
    event, on = shown[sides[0].value], shown.get("on", "")
    unknown = [key for key in shown if key not in {sides[0].value, "nth", "on", "task"}]
    if unknown:
        message = f"{name}: at: unknown key {_brief(unknown[0])}"
        raise UsageError(cause=message, remedy="use before, after, nth, on or task")
    if not isinstance(event, str) or not isinstance(on, str):
        raise UsageError(
            cause=f"{name}: at={_brief(shown)}: event or component is not text", remedy="quote it"
        )
    numbers = {"nth": shown.get("nth", 1), "task": shown.get("task", 0)}
    for key, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int):
            message = f"{name}: at: {key}={_brief(number)} is not a whole number"
            raise UsageError(cause=message, remedy="write a whole number")
    return Moment(event=event, side=sides[0], component=on, **numbers)


def _show_target(case: Case) -> dict[str, object]:
    shown: dict[str, object] = {"name": case.target, "defects": list(case.defects)}
    shown |= {} if case.on == PROCESS else {"on": case.on}
    return shown | ({"profile": case.profile} if case.profile else {})


def _show_confirmed(confirmed: Confirmed | None) -> list[str]:
    if confirmed is None:
        return []
    shown = {"on": confirmed.on, **_show_rate(confirmed.rate)}
    return [f"confirmed: {write_inline(shown)}"]


def _show_moment(moment: Moment) -> dict[str, int | str]:
    shown: dict[str, int | str] = {moment.side.value: moment.event, "nth": moment.nth}
    shown |= {"task": moment.task} if moment.task else {}
    return shown | ({"on": moment.component} if moment.component else {})


def _show_arguments(step: Step) -> dict[str, object]:
    action = step.kind
    shown: dict[str, object] = {n: action.parameter(n).show(v) for n, v in step.arguments}
    return shown if step.at is None else shown | {AT: _show_moment(step.at)}


def _show_rate(rate: Rate) -> dict[str, int]:
    return {"violations": rate.violations, "attempts": rate.attempts}


def _brief(value: object) -> str:
    """Show a value, cut short if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _brief_text(text: str) -> str:
    """Keep a message readable that may quote a value of any length."""
    limit = 10 * _SHOWN
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 2 :]}"
