"""Reads TOML files of users by pydantic models. One error names all problems and their lines."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    Strict,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from chaosfuzz.domain.errors import UsageError, WrongValueError, joined

# Chosen by hand: the longest profile in this repository has 3 KB.
MAX_BYTES = 128 * 1024
# Characters of a value that a message shows, chosen by hand.
_SHOWN = 80
_HEADER = re.compile(r"\s*\[(\[)?\s*([^\]\[]+?)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")
_TYPES = {
    "string_type": "it has to be text in quotes",
    "bool_type": "it has to be true or false",
    "int_type": "it has to be a whole number",
    "float_type": "it has to be a number",
    "tuple_type": "it has to be a list in brackets",
    "model_type": "it has to be a table of keys",
    "dict_type": "it has to be a table of keys",
}
Place = tuple[str | int, ...]
# A place with a problem, its cause and its remedy.
Problem = tuple[Place, str, str]
Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
REQUIRED: Any = ...
# A tuple of a model takes a list of TOML, and a member of an enumeration its value.
FromToml = Strict(strict=False)


class Table(BaseModel):
    """A model of a TOML table. It refuses other keys than its fields, and converts no types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
        """Yield key, cause and remedy of each conflict between keys; the base has no rules.

        An empty key stands for the table itself. `given` is the table as written, so its values
        may be of any type.
        """
        del given
        return ()

    @model_validator(mode="wrap")
    @classmethod
    def _check_conflicts(cls, given: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Report conflicts and wrong values together; pydantic alone would report the values."""
        conflicts = list(cls.conflicts(given)) if isinstance(given, dict) else []
        if not conflicts:
            return handler(given)
        found: list[InitErrorDetails] = []
        try:
            handler(given)
        except ValidationError as error:
            for each in error.errors():
                context = {**each.get("ctx", {}), "text": each["msg"]}
                # pydantic_core cannot raise every type of error by its name.
                same = PydanticCustomError(each["type"], "{text}", context)
                found.append({"type": same, "loc": each["loc"], "input": each["input"]})
        for name, cause, remedy in conflicts:
            place = (name,) if name else ()
            ctx = {"error": WrongValueError(cause, remedy)}
            found.append(InitErrorDetails(type="value_error", loc=place, input=given, ctx=ctx))
        raise ValidationError.from_exception_data(cls.__name__, found)


def key(about: str, default: T = REQUIRED, **rules: Any) -> T:  # noqa: ANN401 - as of pydantic
    """Return the field of a key, which is required without a default.

    `about` describes the key in messages and in the JSON Schema. `rules` are arguments of
    pydantic.Field, such as bounds, or `alias`, the key's name in the file.
    """
    field: T = Field(default, description=about, **rules)
    return field


@dataclass(frozen=True)
class TomlFile:
    """A TOML file: its path, its text and the table that the text means."""

    path: Path
    text: str
    value: dict[str, Any]

    def refuse(self, *problems: Problem) -> UsageError:
        """Return one error for problems, ordered by their lines in the file."""
        placed = sorted({(line_of(self.text, at), cause, remedy) for at, cause, remedy in problems})
        return joined(
            [
                UsageError(cause=f"{self.path}:{line}: {cause}", remedy=remedy)
                for line, cause, remedy in placed
            ]
        )

    def read_as(self, model: type[Model], context: Mapping[str, Any]) -> Model:
        """Return the file's table as a model; its validators get the context.

        Raises:
            UsageError: the table does not fit the model; the message names every problem.

        """
        try:
            return model.model_validate(self.value, context=dict(context))
        except ValidationError as error:
            raise self.refuse(*problems_in(error, model)) from error


def read_toml(path: Path, kind: str, remedy: str) -> TomlFile:
    """Read a TOML file of the expected `kind`, such as "a profile".

    `remedy` is what to do for a user who has no such file. Raises UsageError if the file cannot be
    read, is over MAX_BYTES, or is not TOML in UTF-8.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        cause = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(
            cause=f"{path}: cannot be read: {cause}",
            remedy=f"give the path of {kind}, or {remedy}",
        ) from error
    if len(content) > MAX_BYTES:
        raise UsageError(
            cause=f"{path}:1: not {kind}: it has over {MAX_BYTES} bytes",
            remedy=f"give the path of {kind}, or {remedy}",
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            cause=f"{path}:{line}: not {kind}: it is not text in UTF-8",
            remedy=f"give the path of {kind}, or {remedy}",
        ) from error
    try:
        return TomlFile(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise UsageError(
            cause=f"{path}:{line}: not TOML: {error}", remedy="correct this line"
        ) from error


def problems_in(
    error: ValidationError, model: type[BaseModel], at: Place = ()
) -> Iterator[Problem]:
    """Yield the problems that pydantic found in a table; `at` is the table's place in the file."""
    for each in error.errors(include_url=False):
        if each["type"] == "too_short" and each["input"]:
            # pydantic counts only the valid items of the list; the others are reported themselves.
            continue
        place = (*at, *each["loc"])
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        where = "".join(parts).removeprefix(".")[:_SHOWN]
        yield place, *_cause_and_remedy(each, where, model)


def _cause_and_remedy(each: ErrorDetails, where: str, model: type[BaseModel]) -> tuple[str, str]:
    error_type, value, context = each["type"], each["input"], each.get("ctx", {})
    place = each["loc"]
    known = keys_at(model, place[:-1])
    field = known.get(str(place[-1])) if place else None
    about = field.description if field is not None else None
    if error_type == "missing":
        return f"{where} is missing{f' ({about})' if about else ''}", "add it"
    if error_type == "too_short":
        return f"{where} is empty", "give at least one"
    if error_type == "extra_forbidden":
        remedy = f"{_nearest(str(place[-1]), known)}remove it, or use one of: {', '.join(known)}"
        return f"unknown key {where}", remedy
    if error_type == "value_error":
        problem = context["error"]
        remedy = problem.remedy if isinstance(problem, WrongValueError) else "correct the value"
        return f"{where}: {problem}" if where else str(problem), remedy
    if "expected" in context:
        choices = re.findall(r"'([^']*)'", context["expected"])
        remedy = f"{_nearest(str(value), choices)}use one of: {', '.join(choices)}"
        return f"{where}={brief(value)} is unknown", remedy
    bounds = _bounds(field) if field is not None else {}
    if set(context) & {"gt", "ge", "le"} and bounds:
        low = f"{bounds['ge']:g}" if "ge" in bounds else f"more than {bounds['gt']:g}"
        return f"{where}={brief(value)} is out of range", f"use {low} to {bounds['le']:g}"
    cause = _TYPES.get(error_type) or re.sub("^(Input|String) should", "it has to", each["msg"])
    remedy = f"correct the value{f' ({about})' if about else ''}"
    return f"{where}={brief(value)}: {cause}", remedy


def _bounds(field: FieldInfo) -> dict[str, float]:
    """Return a field's bounds by pydantic's names, or nothing unless it has exactly two."""
    names = ("gt", "ge", "le")
    found = {n: getattr(rule, n) for rule in field.metadata for n in names if hasattr(rule, n)}
    return found if len(found) == 2 else {}


def _nearest(given: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(given, list(known), n=1)
    return f"did you mean {found[0]}? " if found else ""


def keys_at(model: type[BaseModel] | None, place: Place) -> Mapping[str, FieldInfo]:
    """Return the keys of the table at a place in a model, empty if the place is no table."""
    for part in place:
        if isinstance(part, str):
            field = keys_at(model, ()).get(part)
            model = next(tables_in(field.annotation), None) if field is not None else None
    fields = model.model_fields if model is not None else {}
    return {field.alias or name: field for name, field in fields.items()}


def tables_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models in a field's annotation, also those in its type arguments."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from tables_in(part)


def brief(value: object) -> str:
    """Return the repr of a value, shortened to 80 characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def line_of(text: str, place: Place) -> int:
    """Return the line (from 1) of a place, or of the nearest table or key that contains it."""
    names = [part for part in place if isinstance(part, str)]
    index = next((part for part in place if isinstance(part, int)), 0)
    best, depth = 1, 0
    table: list[str] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = _parts(header[2])
            counts[header[2]] = counts.get(header[2], -1) + 1
            if header[1] and names[: len(table)] == table and counts[header[2]] != index:
                table = ["", *table]
            found = table
        elif entry := _KEY.match(line):
            found = [*table, *_parts(entry[1])]
        else:
            continue
        if len(found) > depth and names[: len(found)] == found:
            best, depth = number, len(found)
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
