"""What inputs have in common: how they are checked, and how a mistake is told."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chaosfuzz.reference.api_error import invalid

UUID_PATTERN = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
WITHOUT_NUL = r"^[^\u0000]*$"
MAX_LIMIT = 1000
MAX_OFFSET = 1_000_000_000
_MAX_SHOWN = 60


class Input(BaseModel):
    """What a client sends; what nobody asked for is ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class NoInput(Input):
    """Nothing."""


class Output(BaseModel):
    """What the API replies; only described, never validated on the way out."""

    model_config = ConfigDict(extra="forbid")


def _whole_number(value: object) -> object:
    # Digits alone: what int() takes besides, such as underscores, is no number to others.
    if isinstance(value, str) and value.isascii() and len(value) < 19:
        digits = value.removeprefix("-")
        return int(value) if digits.isdigit() else value
    return value


class PageQuery(Input):
    """A part of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), BeforeValidator(_whole_number)] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET), BeforeValidator(_whole_number)] = 0


T = TypeVar("T", bound=Input)


def checked(model: type[T], values: Mapping[str, Any]) -> T:
    """Return the values as the model; raises ApiError that names the first mistake."""
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
