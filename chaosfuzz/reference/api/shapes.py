"""Base classes of inputs and outputs, and the check of inputs."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chaosfuzz.reference.api_error import invalid

UUID_PATTERN = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
WITHOUT_NUL = r"^[^\u0000]*$"
# All three chosen by hand; the last is in characters of a value that a message repeats.
MAX_LIMIT = 1000
MAX_OFFSET = 1_000_000_000
_MAX_SHOWN = 60


class Input(BaseModel):
    """Data from a client. Types are checked strictly; unknown fields are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class NoInput(Input):
    """An input without fields."""


class Output(BaseModel):
    """Data of a reply. It only describes replies in the document; replies are not validated."""

    model_config = ConfigDict(extra="forbid")


def _whole_number(value: object) -> object:
    # int() alone would also accept underscores, spaces and digits of other scripts.
    if isinstance(value, str) and value.isascii() and len(value) < 19:
        digits = value.removeprefix("-")
        return int(value) if digits.isdigit() else value
    return value


class PageQuery(Input):
    """The part of a list that a client wants: `limit` entries after the first `offset`."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), BeforeValidator(_whole_number)] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET), BeforeValidator(_whole_number)] = 0


T = TypeVar("T", bound=Input)


def checked(model: type[T], values: Mapping[str, Any]) -> T:
    """Return the values as the model; raise ApiError (400) that names the first mistake."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(_first_mistake(error)) from None


def _first_mistake(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    shown = "" if "password" in place or first["type"] == "missing" else _shown(first["input"])
    return f"{place}: {message}{shown}" if place else message


def _shown(value: object) -> str:
    if not isinstance(value, str | int | float) or len(text := repr(value)) > _MAX_SHOWN:
        return ""
    return f", not {text}"
