"""TOML files that users write, checked by pydantic models: all that is wrong is told at once."""

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
# What is wrong at a place: cause and remedy.
Problem = tuple[Place, str, str]
Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
REQUIRED: Any = ...
# Allows a list of TOML for a tuple of a model, and a word for a member of an enumeration.
FromToml = Strict(strict=False)


class Table(BaseModel):
    """A table of a TOML file: its fields are its only keys, and types are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
        """Yield key, cause and remedy for each broken rule between keys.

        An empty key stands for the table itself. `given` is the table as written, so its values
        may be of any type.
        """
        del given
        return ()

    @model_validator(mode="wrap")
    @classmethod
    def _tell_conflicts(cls, given: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Report broken rules beside wrong values, where pydantic alone would stop at these."""
        conflicts = list(cls.conflicts(given)) if isinstance(given, dict) else []
        if not conflicts:
            return handler(given)
        found: list[InitErrorDetails] = []
        try:
            handler(given)
        except ValidationError as error:
            for each in error.errors():
                context = {**each.get("ctx", {}), "text": each["msg"]}
                # Not every type that pydantic reports can be raised by its name.
                same = PydanticCustomError(each["type"], "{text}", context)
                found.append({"type": same, "loc": each["loc"], "input": each["input"]})
        for name, cause, remedy in conflicts:
            place = (name,) if name else ()
            ctx = {"error": WrongValueError(cause, remedy)}
            found.append(InitErrorDetails(type="value_error", loc=place, input=given, ctx=ctx))
        raise ValidationError.from_exception_data(cls.__name__, found)


def key(about: str, default: T = REQUIRED, **rules: Any) -> T:  # noqa: ANN401 - as of pydantic
    """Return the field of a key. `about` describes it in messages and in the JSON Schema.

    A key without a default has to be there. `rules` are arguments of pydantic.Field, as bounds;
    `alias` is the key in the file where the field has another name.
    """
    field: T = Field(default, description=about, **rules)
    return field


@dataclass(frozen=True)
class TomlFile:
    """A file's path, text and value."""

    path: Path
    text: str
    value: dict[str, Any]

    def refuse(self, *problems: Problem) -> UsageError:
        """Return the error that tells problems at their places, in the file's order."""
        told = sorted({(line_of(self.text, at), cause, remedy) for at, cause, remedy in problems})
        return joined(
            [
                UsageError(cause=f"{self.path}:{line}: {cause}", remedy=remedy)
                for line, cause, remedy in told
            ]
        )

    def read_as(self, model: type[Model], context: Mapping[str, Any]) -> Model:
        """Return the file's value as a model, whose validators are given the context.

        Raises:
            UsageError: it does not fit; the message names all that is wrong.

        """
        try:
            return model.model_validate(self.value, context=dict(context))
        except ValidationError as error:
            raise self.refuse(*problems_in(error, model)) from error


def read_toml(path: Path, kind: str, remedy: str) -> TomlFile:
    """Return what a TOML file holds.

    Args:
        path: the file.
        kind: what it has to be, as "a profile".
        remedy: what to do if there is no such file.

    Raises:
        UsageError: it cannot be read, is too long, is not text, or not TOML.

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
            cause=f"{path}:1: not {kind}: over {MAX_BYTES} bytes",
            remedy="give a file of a few dozen lines",
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            cause=f"{path}:{line}: not {kind}: it is not text in UTF-8", remedy=remedy
        ) from error
    try:
        return TomlFile(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise UsageError(
            cause=f"{path}:{line}: not TOML: {error}", remedy="correct the line"
        ) from error


def problems_in(
    error: ValidationError, model: type[BaseModel], at: Place = ()
) -> Iterator[Problem]:
    """Yield each problem that pydantic found.

    `at` is the place in the file of the table that was read as the model.
    """
    for each in error.errors(include_url=False):
        if each["type"] == "too_short" and each["input"]:
            # pydantic counts the good items of a list, and has told of the others.
            continue
        place = (*at, *each["loc"])
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        where = "".join(parts).removeprefix(".")[:_SHOWN]
        yield place, *_words(each, where, model)


def _words(each: ErrorDetails, where: str, model: type[BaseModel]) -> tuple[str, str]:
    """Return the cause and the remedy."""
    fault, value, context = each["type"], each["input"], each.get("ctx", {})
    place = each["loc"]
    known = keys_at(model, place[:-1])
    field = known.get(str(place[-1])) if place else None
    about = field.description if field is not None else None
    if fault == "missing":
        return f"{where} is missing{f' ({about})' if about else ''}", "add it"
    if fault == "too_short":
        return f"{where} is empty", "give at least one"
    if fault == "extra_forbidden":
        remedy = f"{_nearest(str(place[-1]), known)}remove it, or use one of: {', '.join(known)}"
        return f"unknown key {where}", remedy
    if fault == "value_error":
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
    cause = _TYPES.get(fault) or re.sub("^(Input|String) should", "it has to", each["msg"])
    remedy = f"correct the value{f' ({about})' if about else ''}"
    return f"{where}={brief(value)}: {cause}", remedy


def _bounds(field: FieldInfo) -> dict[str, float]:
    """Return the bounds of a field, if it has two; named as pydantic names them."""
    names = ("gt", "ge", "le")
    found = {n: getattr(rule, n) for rule in field.metadata for n in names if hasattr(rule, n)}
    return found if len(found) == 2 else {}


def _nearest(given: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(given, list(known), n=1)
    return f"did you mean {found[0]}? " if found else ""


def keys_at(model: type[BaseModel] | None, place: Place) -> Mapping[str, FieldInfo]:
    """Return the keys of the table at a place in a file of this model; none if it is no table."""
    for part in place:
        if isinstance(part, str):
            field = keys_at(model, ()).get(part)
            model = next(tables_in(field.annotation), None) if field is not None else None
    fields = model.model_fields if model is not None else {}
    return {field.alias or name: field for name, field in fields.items()}


def tables_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models that a field's annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from tables_in(part)


def brief(value: object) -> str:
    """Show a value, cut short if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def line_of(text: str, place: Place) -> int:
    """Return the line (from 1) of a place, or of the nearest table or key around it."""
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
