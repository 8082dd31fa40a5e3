"""A plain subset of YAML: text, whole numbers, true, false, null, lists and mappings.

Tags, anchors, aliases, merges and keys given twice are refused, so that reading a stranger's
file costs no more than its size and makes nothing but plain values. `yes` and dates are text.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from chaosfuzz.domain.errors import UsageError

MAX_BYTES = 128 * 1024
MAX_DEPTH = 12

_NUMBER = "tag:yaml.org,2002:int"
_TRUTH = "tag:yaml.org,2002:bool"
_NOTHING = "tag:yaml.org,2002:null"
_MAX_DIGITS = 4000


class _Loader(yaml.SafeLoader):
    """Reads the subset."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - as its base declares it


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
    # Other readers take a lone = for more than text.
    style = None if text.isprintable() and text != "=" else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


@dataclass(frozen=True)
class Document:
    """A document's value, and the lines that its parts stand on."""

    origin: str
    value: object
    node: yaml.Node

    def refuse(self, cause: str, remedy: str, path: tuple[int | str, ...] = ()) -> UsageError:
        """Return the error for a problem at a place in the document."""
        return UsageError(cause=f"{self.origin}:{self._line(path)}: {cause}", remedy=remedy)

    def _line(self, path: tuple[int | str, ...]) -> int:
        """Return the line (from 1) of the place, or of the nearest place around it."""
        node, line = self.node, 1
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = [pair for pair in node.value if pair[0].value == part]
                if not found:
                    break
                line = found[0][0].start_mark.line + 1
                node = found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                node = node.value[part]
                line = node.start_mark.line + 1
        return line


def read(text: str, origin: str) -> Document:
    """Return what a text holds; raises UsageError with origin, line, cause and remedy."""
    size = len(text.encode("utf-8", errors="replace"))
    if size > MAX_BYTES:
        message = f"{origin}:1: over {MAX_BYTES} bytes, but a case has a few dozen lines"
        raise UsageError(cause=message, remedy="give the path of a case file")
    try:
        _refuse_exotic(text, origin)
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        line, problem = _explain(error, text)
        message = f"{origin}:{line}: not YAML: {problem}"
        raise UsageError(cause=message, remedy="correct the line or save the case anew") from error
    if node is None:
        raise UsageError(
            cause=f"{origin}:1: the file is empty", remedy="give the path of a case file"
        )
    return Document(origin, _plain(node, origin), node)


def write_inline(value: object) -> str:
    """Return a value on one line."""
    dumped: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6,
        allow_unicode=True,
    )  # fmt: skip
    return dumped.removesuffix("\n").removesuffix("\n...")


def _refuse_exotic(text: str, origin: str) -> None:
    """Refuse what the subset does not have, before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        problem = remedy = ""
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} deep, but a case is flat"
            remedy = "remove the nesting"
        elif isinstance(event, yaml.AliasEvent):
            problem, remedy = "aliases are not allowed", "write the value out"
        elif getattr(event, "anchor", None):
            problem, remedy = "anchors are not allowed", "remove it"
        elif tag := getattr(event, "tag", None):
            problem, remedy = f"tag {tag[:80]} is not allowed", "write a plain value"
        if problem:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise UsageError(cause=f"{origin}:{line}: {problem}", remedy=remedy)


def _plain(node: yaml.Node, origin: str) -> object:
    """Return the plain value of a node; its depth is bounded by then."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, origin) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, object] = {}
        for key, value in node.value:
            where = f"{origin}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise UsageError(
                    cause=f"{where}: a key is a list or mapping", remedy="write a word as key"
                )
            if key.value in mapping:
                raise UsageError(
                    cause=f"{where}: key {key.value[:80]!r} is given twice", remedy="remove one"
                )
            mapping[key.value] = _plain(value, origin)
        return mapping
    text: str = node.value
    if node.tag == _NUMBER:
        return int(text)
    if node.tag == _TRUTH:
        return text == "true"
    return None if node.tag == _NOTHING else text


def _explain(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        return (mark.line + 1 if mark else 1), error.problem or error.context or "unreadable"
    position = getattr(error, "position", None)
    line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
    return line, str(error).splitlines()[0]
