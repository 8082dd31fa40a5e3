"""Reads and writes cases as YAML. Errors name the line and the remedy."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from chaosfuzz.actions import find_action, make_step
from chaosfuzz.cases.plainyaml import Document, read, write_inline
from chaosfuzz.checked_toml import brief, problems_in
from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.case import (
    ANY_FAILURE,
    BY_HAND,
    PROCESS,
    UNMEASURED,
    Case,
    Confirmed,
    Found,
    Needed,
    Rate,
)
from chaosfuzz.domain.contract import Guarantee
from chaosfuzz.domain.errors import UsageError, WrongValueError
from chaosfuzz.domain.moment import Moment, Side
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.verdict import Kind, Signature, Verdict

VERSION = 1
AT = "at"
MAX_STEPS = 1000
_MAX_MESSAGE = 800
_SHOWN = 80
_MAX_PROBLEMS = 20
_Checked = TypeVar("_Checked")


def _refusing(check: Callable[[Any], _Checked]) -> Callable[[Any], _Checked]:
    """Return the check, with its UsageError turned into a WrongValueError for pydantic."""

    def checked(value: object) -> _Checked:
        try:
            return check(value)
        except UsageError as error:
            raise WrongValueError(_shortened(error.cause), _shortened(error.remedy)) from error

    return checked


def _read_step(entry: object) -> Step:
    """Return the step in `{action: {argument: value, at: MOMENT}}`.

    Raises UsageError, or pydantic's ValidationError for what is wrong in the moment.
    """
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UsageError(
            cause=f"{brief(entry)} is no step",
            remedy="write each step on a line, as `- action: {argument: value}`",
        )
    ((name, shown),) = entry.items()
    if not isinstance(shown, dict):
        raise UsageError(
            cause=f"{name[:_SHOWN]}: {brief(shown)} are no arguments",
            remedy="write {argument: value}, or {} for none",
        )
    action = find_action(name)
    arguments = {k: action.parameter(k).read(v, name) for k, v in shown.items() if k != AT}
    pinned = _MOMENTS.validate_python({name: {AT: shown.get(AT)}})[name][AT]
    return make_step(name, **arguments).pinned(None if pinned is None else pinned.moment(name))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Moment(_Strict):
    before: str | None = None
    after: str | None = None
    nth: int = 1
    on: str = ""
    task: int = 0

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, given: object) -> object:
        keys = list(given) if isinstance(given, dict) else []
        unknown = [key for key in keys if key not in cls.model_fields]
        if unknown:
            raise WrongValueError(
                f"unknown key {brief(unknown[0])}", f"use {', '.join(cls.model_fields)}"
            )
        return given

    def moment(self, name: str) -> Moment:
        """Return the moment; raise UsageError, naming the action `name`, unless it has one side."""
        sides = [(Side.BEFORE, self.before), (Side.AFTER, self.after)]
        given = [(side, event) for side, event in sides if event is not None]
        if len(given) != 1:
            shown = self.model_dump(exclude_unset=True)
            raise UsageError(
                cause=f"{name}: {AT}={brief(shown)} is no moment",
                remedy="write {after: EVENT, nth: 1}: one of before and after",
            )
        ((side, event),) = given
        return Moment(event=event, side=side, nth=self.nth, component=self.on, task=self.task)


# A dict of dicts, so that pydantic reports an error in a moment at the path (action, AT, ...).
_MOMENTS = TypeAdapter(dict[str, dict[str, _Moment | None]])


class _Target(_Strict):
    name: str
    defects: list[str] = Field(default_factory=list)
    on: Literal["process", "docker"] = "process"
    profile: str = ""


class _Signature(_Strict):
    invariant: str
    kind: Annotated[Kind, Field(strict=False)]
    role: str


class _Rate(_Strict):
    violations: int = Field(ge=0)
    attempts: int = Field(ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.violations > self.attempts:
            violations, attempts = brief(self.violations), brief(self.attempts)
            problem = f"violations={violations} are more than attempts={attempts}"
            raise WrongValueError(problem, "correct the figures")
        return self

    @property
    def rate(self) -> Rate:
        return Rate(violations=self.violations, attempts=self.attempts)


class _Confirmed(_Rate):
    on: Literal["process", "docker"]


class _Found(_Strict):
    date: str
    seed: int = Field(ge=0)
    steps: int = Field(ge=0)
    executions_to_shrink: int = Field(ge=0)


class _Needed(_Rate):
    step: int = Field(ge=1)


def _check_needed(needed: _Needed, info: ValidationInfo) -> _Needed:
    steps = info.data.get("steps")
    if steps is not None and needed.step > len(steps):
        problem = f"step={brief(needed.step)} is none of the {len(steps)}"
        raise WrongValueError(problem, "remove the entry, or correct its step")
    return needed


class _File(_Strict):
    chaosfuzz_case: int = VERSION
    title: str = "a case written by hand"
    target: _Target = Field(description="as {name: reference}")
    contract: Annotated[Guarantee, Field(strict=False)] = Guarantee.AT_LEAST_ONCE
    signature: _Signature | None = None
    reproduces: _Rate | None = None
    confirmed: _Confirmed | None = None
    found: _Found | None = None
    expect: Literal["violated", "holds"] = "holds"
    documented: str = ""
    workers: int = Field(default=1, ge=0, le=MAX_WORKERS)
    steps: list[Annotated[Step, PlainValidator(_refusing(_read_step))]] = Field(
        max_length=MAX_STEPS
    )
    needed: list[Annotated[_Needed, AfterValidator(_check_needed)]] = Field(default_factory=list)


def dump_case(case: Case) -> str:
    """Return the case as YAML with every key, except those without a value."""
    confirmed = case.confirmed
    shown = {
        "chaosfuzz_case": VERSION,
        "title": case.title,
        "target": _show_target(case),
        "contract": case.contract,
        "signature": None if case.signature == ANY_FAILURE else asdict(case.signature),
        "reproduces": asdict(case.reproduces),
        "confirmed": confirmed and {"on": confirmed.on, **asdict(confirmed.rate)},
        "found": asdict(case.found),
        "expect": case.expect.value,
        "documented": case.documented or None,
        "workers": case.schedule.workers,
    }
    lines = [
        *(f"{key}: {write_inline(value)}" for key, value in shown.items() if value is not None),
        "steps:" if case.schedule.steps else "steps: []",
        *(f"  - {s.action}: {write_inline(_show_arguments(s))}" for s in case.schedule.steps),
        "needed:  # rate without the step" if case.needed else "needed: []",
        *(f"  - {write_inline({'step': n.step, **asdict(n.rate)})}" for n in case.needed),
    ]
    return "\n".join(lines) + "\n"


def load_case(text: str, origin: str) -> Case:
    """Return the case in a text. Only `target` and `steps` are required.

    A step may refer to a task that no step creates: such a step does nothing in a run. `origin`
    is the file's path, for errors.

    Raises:
        UsageError: the text is not a case. Up to 20 missing or wrong keys are named, each with
            origin, line, value and remedy.

    """
    document = read(text, origin)
    value = document.value
    if not isinstance(value, dict) or not value.keys() & {"chaosfuzz_case", "target", "steps"}:
        problem = "not a case: it has neither target nor steps"
        raise document.refuse(((), problem, "give the path of a case file"))
    _check_format(value, document)
    try:
        file = _File.model_validate(value)
    except ValidationError as error:
        raise document.refuse(*islice(problems_in(error, _File), _MAX_PROBLEMS)) from error
    return _to_case(file)


def rename_moments(text: str, origin: str, names: Mapping[str, str]) -> str:
    """Return the text of a case with the events of its moments renamed.

    `names` has the new name of each event by its old one. Nothing else in the text changes.
    Raises UsageError if the text is not a case.
    """
    document = read(text, origin)
    spans = []
    for index, step in enumerate(load_case(text, origin).schedule.steps):
        if step.at is not None and step.at.event in names:
            place = ("steps", index, step.action, AT, step.at.side.value)
            spans.append((document.span(place), names[step.at.event]))
    for (begin, end), name in reversed(spans):
        # Quote the name as an item of a list: inside braces YAML needs the same quotes.
        text = text[:begin] + write_inline([name])[1:-1] + text[end:]
    return text


def _check_format(value: Mapping[str, object], document: Document) -> None:
    """Refuse other versions of the format, and the removed key serial_seed, with UsageError."""
    version, place = value.get("chaosfuzz_case", VERSION), ("chaosfuzz_case",)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        problem = f"chaosfuzz_case={brief(version)} is no version"
        raise document.refuse((place, problem, f"write {VERSION}"))
    if version > VERSION:
        problem = f"made by a newer chaosfuzz (format {brief(version)})"
        raise document.refuse((place, problem, "upgrade chaosfuzz"))
    if "serial_seed" in value:
        problem = "the key serial_seed was removed with --serial"
        raise document.refuse((("serial_seed",), problem, "delete the line"))


def _to_case(file: _File) -> Case:
    signature, confirmed = file.signature, file.confirmed
    return Case(
        title=file.title,
        target=file.target.name,
        defects=tuple(file.target.defects),
        contract=file.contract.value,
        signature=ANY_FAILURE
        if signature is None
        else Signature(
            invariant=signature.invariant, kind=signature.kind.value, role=signature.role
        ),
        schedule=Schedule(workers=file.workers, steps=tuple(file.steps)),
        reproduces=UNMEASURED if file.reproduces is None else file.reproduces.rate,
        found=BY_HAND if file.found is None else Found(**file.found.model_dump()),
        expect=Verdict(file.expect),
        needed=tuple(Needed(step=each.step, rate=each.rate) for each in file.needed),
        on=file.target.on,
        confirmed=Confirmed(on=confirmed.on, rate=confirmed.rate) if confirmed else None,
        profile=file.target.profile,
        documented=file.documented,
    )


def _show_target(case: Case) -> dict[str, object]:
    shown: dict[str, object] = {"name": case.target, "defects": list(case.defects)}
    shown |= {} if case.on == PROCESS else {"on": case.on}
    return shown | ({"profile": case.profile} if case.profile else {})


def _show_arguments(step: Step) -> dict[str, object]:
    moment = step.at
    shown: dict[str, object] = {n: step.kind.parameter(n).show(v) for n, v in step.arguments}
    if moment is None:
        return shown
    at: dict[str, int | str] = {moment.side.value: moment.event, "nth": moment.nth}
    at |= {"task": moment.task} if moment.task else {}
    at |= {"on": moment.component} if moment.component else {}
    return {**shown, AT: at}


def _shortened(text: str) -> str:
    """Return the text; if it is longer than 800 characters, without its middle."""
    half = _MAX_MESSAGE // 2
    return text if len(text) <= _MAX_MESSAGE else f"{text[:half]} ... {text[-half:]}"
