"""Cases as YAML that reads aloud; whatever is not a case is refused with line and remedy."""

from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chaosfuzz.domain.action import find_action
from chaosfuzz.domain.case import Case, Found, Needed, Rate
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.schedule import Schedule, Step, make_step
from chaosfuzz.domain.verdict import Signature

VERSION = 1
MAX_BYTES = 256 * 1024
MAX_STEPS = 500


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Target(_Strict):
    name: str
    defects: list[str] = Field(default_factory=list)


class _Signature(_Strict):
    invariant: str
    kind: str
    role: str


class _Rate(_Strict):
    violations: int = Field(ge=0)
    attempts: int = Field(ge=0)


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
    found: _Found
    expect: Literal["violated", "holds"] = "holds"
    workers: int
    steps: list[dict[str, dict[str, Any]]] = Field(max_length=MAX_STEPS)
    needed: list[_Needed] = Field(default_factory=list)


class _CaseLoader(yaml.SafeLoader):
    """Safe loading without dates, aliases or keys given twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(None, None, "aliases are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                problem = f"key {key.value!r} is given twice"
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# A date stays the text it was written as.
_CaseLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def dump_case(case: Case) -> str:
    """Return the case as YAML, keys in the order in which one would tell it."""
    content = {
        "chaosfuzz_case": VERSION,
        "title": case.title,
        "target": {"name": case.target, "defects": list(case.defects)},
        "contract": case.contract,
        "signature": {
            "invariant": case.signature.invariant,
            "kind": case.signature.kind,
            "role": case.signature.role,
        },
        "reproduces": _show_rate(case.reproduces),
        "found": {
            "date": case.found.date,
            "seed": case.found.seed,
            "steps": case.found.steps,
            "executions_to_shrink": case.found.executions_to_shrink,
        },
        "expect": case.expect,
        "workers": case.schedule.workers,
        "steps": [{step.action: _show_arguments(step)} for step in case.schedule.steps],
        "needed": [{"step": n.step, **_show_rate(n.rate)} for n in case.needed],
    }
    return "".join(_dump_entry(key, value) for key, value in content.items())


def load_case(text: str, origin: str) -> Case:
    """Return the case in a text; raises UsageError naming origin, line, value and remedy."""
    if len(text.encode()) > MAX_BYTES:
        message = f"{origin}: larger than {MAX_BYTES} bytes; a case is a few dozen lines"
        raise UsageError(message)
    try:
        node = yaml.compose(text, Loader=_CaseLoader)
        content = yaml.load(text, Loader=_CaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        message = f"{origin}:{line}: not a case: {problem}; write plain YAML, see chaosfuzz actions"
        raise UsageError(message) from error
    except (RecursionError, ValueError) as error:
        message = f"{origin}:1: not a case: {error}; write plain YAML"
        raise UsageError(message) from error
    if not isinstance(content, dict) or "chaosfuzz_case" not in content:
        message = f"{origin}:1: not a case: it has no chaosfuzz_case: {VERSION} at the top"
        raise UsageError(message)
    _check_version(content["chaosfuzz_case"], origin)
    try:
        read = _File.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        line = _line_of(node, first["loc"])
        where = ".".join(str(part) for part in first["loc"])
        message = f"{origin}:{line}: {where}={first['input']!r}: {first['msg']}; correct the value"
        raise UsageError(message) from error
    return _to_case(read, node, origin)


def _check_version(version: object, origin: str) -> None:
    if isinstance(version, int) and version > VERSION:
        message = f"{origin}:1: made by a newer chaosfuzz (format {version}); upgrade chaosfuzz"
        raise UsageError(message)
    if version != VERSION:
        message = f"{origin}:1: chaosfuzz_case={version!r} is no version; it must be {VERSION}"
        raise UsageError(message)


def _to_case(read: _File, node: yaml.Node | None, origin: str) -> Case:
    steps: list[Step] = []
    for index, entry in enumerate(read.steps):
        try:
            steps.append(_read_step(entry))
        except UsageError as error:
            message = f"{origin}:{_line_of(node, ('steps', index))}: {error}"
            raise UsageError(message) from error
    try:
        schedule = Schedule(workers=read.workers, steps=tuple(steps))
    except UsageError as error:
        message = f"{origin}:{_line_of(node, ('workers',))}: {error}"
        raise UsageError(message) from error
    return Case(
        title=read.title,
        target=read.target.name,
        defects=tuple(read.target.defects),
        contract=read.contract,
        signature=Signature(**read.signature.model_dump()),
        schedule=schedule,
        reproduces=Rate(**read.reproduces.model_dump()),
        found=Found(**read.found.model_dump()),
        expect=read.expect,
        needed=tuple(
            Needed(step=n.step, rate=Rate(violations=n.violations, attempts=n.attempts))
            for n in read.needed
        ),
    )


def _read_step(entry: dict[str, dict[str, Any]]) -> Step:
    if len(entry) != 1:
        message = f"a step is one action, this has {len(entry)}: {', '.join(entry) or 'none'}"
        raise UsageError(message)
    (name, shown), *_ = entry.items()
    action = find_action(name)
    if "at" in shown:
        message = f"{name}: moments (at:) are not supported by this version; remove the key"
        raise UsageError(message)
    return make_step(name, **{k: action.parameter(k).read(v, name) for k, v in shown.items()})


def _show_arguments(step: Step) -> dict[str, int | str]:
    action = find_action(step.action)
    return {name: action.parameter(name).show(value) for name, value in step.arguments}


def _show_rate(rate: Rate) -> dict[str, int]:
    return {"violations": rate.violations, "attempts": rate.attempts}


def _dump_entry(key: str, value: object) -> str:
    if isinstance(value, list) and value:
        items = "".join(f"  - {_flow(item)}\n" for item in value)
        return f"{key}:\n{items}"
    return f"{key}: {_flow(value)}\n"


def _flow(value: object) -> str:
    """Show a value on one line; single-key mappings of mappings read as `action: {...}`."""
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        return f"{key}: {_flow(inner)}"
    dumped: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True
    )
    return dumped.removesuffix("\n").removesuffix("\n...")


def _line_of(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """Return the line (from 1) of a place in the file, or of the nearest place around it."""
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == part]
            if not found:
                return line
            line = found[0][0].start_mark.line + 1
            node = found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1 if node is not None else line
    return line
