"""The OpenAPI document, made from the operations that are served."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import TypeAdapter

from chaosfuzz.reference.api.operation import Access, AnyOperation
from chaosfuzz.reference.api.shapes import UUID_PATTERN, Input, NoInput

Json = dict[str, Any]
_REFERENCES = "#/components/schemas/{model}"
_CODES: dict[int, tuple[str, ...]] = {
    400: ("VALIDATION_FAILED", "INVALID_INPUT"),
    401: ("UNAUTHORIZED", "INVALID_CREDENTIALS", "TOKEN_EXPIRED"),
    403: ("FORBIDDEN",),
    404: ("NOT_FOUND", "USER_NOT_FOUND", "TASK_NOT_FOUND"),
    405: ("INVALID_INPUT",),
    409: (
        *("CONFLICT", "USER_ALREADY_EXISTS"),
        *("EMAIL_ALREADY_EXISTS", "USERNAME_ALREADY_EXISTS"),
    ),
    503: ("SERVICE_UNAVAILABLE", "SERVICE_UNHEALTHY"),
}
_MEANINGS = {
    400: "The request is not what it should be; the message says where.",
    401: "Nobody knows who asks, or no longer.",
    403: "It is known who asks, and they may not.",
    404: "There is no such thing, or none that the caller may know of.",
    409: "It does not go with what is there.",
    503: "The database is not available.",
}
_ABOUT = (
    "A job queue. Send `Authorization: Bearer TOKEN` with the token from `/auth/login`."
    " Every reply is `{success, data, message}` or `{error: {code, message}}`."
)


def document(operations: Iterable[AnyOperation], prefix: str) -> Json:
    """Return the document of these operations."""
    found = tuple(operations)
    schemas: Json = {
        "Error": _error(tuple(dict.fromkeys(c for codes in _CODES.values() for c in codes)))
    }
    paths: Json = {}
    for operation in found:
        paths.setdefault(prefix + operation.path, {})[operation.method.lower()] = _operation(
            operation, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "chaosfuzz reference job queue", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in found)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: AnyOperation, schemas: Json) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": [] if operation.access is Access.PUBLIC else [{"session": []}],
        "parameters": [*_parameters(operation)],
        "responses": {
            "200": _content(_success(operation, schemas), "Served."),
            **{
                str(status): _content(_refusal(status), _MEANINGS[status])
                for status in operation.statuses
            },
        },
    }
    if operation.access > Access.USER:
        described["description"] = f"For the role {operation.access.name.lower()} and above."
    if operation.has_body:
        reference = _reference(operation.body, schemas, "validation")
        described["requestBody"] = {**_content(reference, ""), "required": True}
        del described["requestBody"]["description"]
    return described


def _parameters(operation: AnyOperation) -> Iterator[Json]:
    if "{id}" in operation.path:
        schema = {"type": "string", "format": "uuid", "pattern": UUID_PATTERN}
        yield {"name": "id", "in": "path", "required": True, "schema": schema}
    yield from _fields(operation.query, "query")
    yield from _fields(operation.headers, "header")


def _fields(model: type[Input], place: str) -> Iterator[Json]:
    schema = model.model_json_schema(by_alias=True)
    for name, described in schema.get("properties", {}).items():
        # A parameter that is not given is absent, not null.
        kinds = [kind for kind in described.pop("anyOf", ()) if kind != {"type": "null"}]
        merged = {**described, **(kinds[0] if kinds else {})}
        plain = {key: merged[key] for key in merged if key not in {"title", "description"}}
        if plain.get("default", "") in {None, ""}:
            plain.pop("default", None)
        parameter = {"name": name, "in": place, "required": False, "schema": plain}
        if "description" in merged:
            parameter["description"] = merged["description"]
        yield parameter


def _success(operation: AnyOperation, schemas: Json) -> Json:
    properties: Json = {
        "success": {"const": True},
        "data": _reference(operation.data, schemas, "serialization"),
        "message": {"type": ["string", "null"]},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _refusal(status: int) -> Json:
    codes = {"type": "object", "properties": {"code": {"enum": list(_CODES[status])}}}
    narrowed = {"properties": {"error": codes}}
    return {"allOf": [{"$ref": _REFERENCES.format(model="Error")}, narrowed]}


def _error(codes: tuple[str, ...]) -> Json:
    properties = {"code": {"enum": list(codes)}, "message": {"type": "string", "minLength": 1}}
    inner = {"type": "object", "properties": properties, "required": ["code", "message"]}
    return {"type": "object", "properties": {"error": inner}, "required": ["error"]}


def _content(schema: Json, meaning: str) -> Json:
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _reference(shape: Any, schemas: Json, mode: Any) -> Json:  # noqa: ANN401
    if shape is NoInput:
        return {}
    described = TypeAdapter(shape).json_schema(ref_template=_REFERENCES, mode=mode)
    schemas.update({name: _tidy(each) for name, each in described.pop("$defs", {}).items()})
    if described.get("type") == "object":
        schemas[described["title"]] = _tidy(described)
        return {"$ref": _REFERENCES.format(model=described["title"])}
    return described


def _tidy(schema: Json) -> Json:
    """Leave out the titles that only repeat names, and defaults that only mark what is absent."""
    for name, each in schema.get("properties", {}).items():
        each.pop("title", None)
        default = each.get("default")
        if default is None or re.match("unset", str(default)):
            each.pop("default", None)
        if "anyOf" in each:
            for kind in each["anyOf"]:
                kind.pop("title", None)
        assert name
    return schema
