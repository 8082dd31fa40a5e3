"""Reads and writes a subset of YAML: text, integers, true, false, null, lists and mappings.

Tags, anchors, aliases, merges and repeated keys are refused. So reading a stranger's file takes
time in proportion to its size, and yields plain values only. `yes` and dates are text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from chaosfuzz.checked_toml import Place, Problem
from chaosfuzz.domain.errors import UsageError, joined

# Bounds against hostile files, chosen by hand. A case has a few dozen lines and is 5 levels deep.
MAX_BYTES = 128 * 1024
MAX_DEPTH = 12

_NUMBER = "tag:yaml.org,2002:int"
_TRUTH = "tag:yaml.org,2002:bool"
_NOTHING = "tag:yaml.org,2002:null"
_MAX_DIGITS = 4000
_MAX_SHOWN = 80


class _Loader(yaml.SafeLoader):
    """Reads the subset."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - as its base declares it


class _RefusedError(yaml.MarkedYAMLError):
    """Valid YAML outside the subset, with the remedy."""

    def __init__(self, problem: str, remedy: str, mark: Any) -> None:  # noqa: ANN401 - yaml has no types
        super().__init__(problem=problem, problem_mark=mark)
        self.remedy = remedy


class _Dumper(yaml.SafeDumper):
    """Writes the subset: text is quoted only where the loader needs it."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


for _tag, _pattern, _first in (
    (_NUMBER, rf"[-+]?[0-9]{{1,{_MAX_DIGITS}}}", "-+0123456789"),
    (_TRUTH, "true|false", "tf"),
    (_NOTHING, "null|~|", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), list(_first))


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # YAML 1.1 readers give a lone = a meaning of its own.
    style = None if text.isprintable() and text != "=" else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


@dataclass(frozen=True)
class Document:
    """The value of a YAML document, and the positions of its parts in the text."""

    origin: str
    value: object
    node: yaml.Node

    def refuse(self, *problems: Problem) -> UsageError:
        """Return one UsageError for all problems, sorted by line, each with origin and line."""
        by_line = sorted((self._line(place), cause, remedy) for place, cause, remedy in problems)
        return joined(
            [
                UsageError(cause=f"{self.origin}:{line}: {cause}", remedy=remedy)
                for line, cause, remedy in by_line
            ]
        )

    def span(self, place: Place) -> tuple[int, int]:
        """Return the begin and the end of the value at a place, in characters of the text.

        Raises KeyError if the document has no such place.
        """
        path = self._path(place)
        if len(path) <= len(place):
            raise KeyError(place)
        return path[-1][1].start_mark.index, path[-1][1].end_mark.index

    def _line(self, place: Place) -> int:
        """Return the line (from 1) of the place, or of the nearest place around it."""
        return self._path(place)[-1][0]

    def _path(self, place: Place) -> Sequence[tuple[int, yaml.Node]]:
        """Return line (from 1) and node of the document and of each part of the place it has."""
        path = [(1, self.node)]
        for part in place:
            node = path[-1][1]
            if isinstance(node, yaml.MappingNode):
                found = [pair for pair in node.value if pair[0].value == part]
                if not found:
                    break
                path.append((found[0][0].start_mark.line + 1, found[0][1]))
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                path.append((node.value[part].start_mark.line + 1, node.value[part]))
        return path


def read(text: str, origin: str) -> Document:
    """Parse a text. Raises UsageError, with origin and line, if it is not in the subset."""
    size = len(text.encode("utf-8", errors="replace"))
    if size > MAX_BYTES:
        message = f"{origin}:1: over {MAX_BYTES} bytes, so it is not a case"
        raise UsageError(cause=message, remedy="give the path of a case file")
    try:
        _refuse_exotic(text)
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
        if node is not None:
            return Document(origin, _plain(node), node)
    except yaml.YAMLError as error:
        line, cause, remedy = _explain(error, text)
        raise UsageError(cause=f"{origin}:{line}: {cause}", remedy=remedy) from error
    raise UsageError(cause=f"{origin}:1: the file is empty", remedy="give the path of a case file")


def write_inline(value: object) -> str:
    """Return a value as YAML on one line."""
    dumped: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6,
        allow_unicode=True,
    )  # fmt: skip
    return dumped.removesuffix("\n").removesuffix("\n...")


def _refuse_exotic(text: str) -> None:
    """Raise _RefusedError for tags, anchors, aliases and deep nesting, before values are built."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        problem = remedy = ""
        if depth > MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} deep, but a case is flat"
            remedy = "remove the nesting"
        elif isinstance(event, yaml.AliasEvent):
            problem, remedy = "aliases are not allowed", "write the value out"
        elif getattr(event, "anchor", None):
            problem, remedy = "anchors are not allowed", "remove the anchor (&)"
        elif tag := getattr(event, "tag", None):
            problem, remedy = f"tag {tag[:_MAX_SHOWN]} is not allowed", "write a plain value"
        if problem:
            raise _RefusedError(problem, remedy, event.start_mark)


def _plain(node: yaml.Node) -> object:
    """Return the plain value of a node. Raises _RefusedError for a repeated or compound key."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                problem, remedy = "a key is a list or mapping", "write a word as key"
                raise _RefusedError(problem, remedy, key.start_mark)
            if key.value in mapping:
                problem = f"key {key.value[:_MAX_SHOWN]!r} is given twice"
                raise _RefusedError(problem, "remove one of the two", key.start_mark)
            mapping[key.value] = _plain(value)
        return mapping
    text: str = node.value
    if node.tag == _NUMBER:
        return int(text)
    if node.tag == _TRUTH:
        return text == "true"
    return None if node.tag == _NOTHING else text


def _explain(error: yaml.YAMLError, text: str) -> tuple[int, str, str]:
    """Return the line (from 1), the cause and the remedy of an error."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        cause = error.problem or error.context or "unreadable"
    else:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        cause = str(error).splitlines()[0]
    if isinstance(error, _RefusedError):
        return line, cause, error.remedy
    return line, f"not YAML: {cause}", "correct this line, or have the case saved again"
