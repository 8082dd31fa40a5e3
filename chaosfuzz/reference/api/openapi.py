"""The OpenAPI document, made from the operations that are served."""

import re
from collections.abc import Iterator, Sequence
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
    409: ("CONFLICT", "USER_ALREADY_EXISTS", "EMAIL_ALREADY_EXISTS", "USERNAME_ALREADY_EXISTS"),
    503: ("SERVICE_UNAVAILABLE", "SERVICE_UNHEALTHY"),
}
_MEANINGS = {
    400: "The path, query, headers or body are not valid; the message names the mistake.",
    401: "The token is missing, unknown or expired, or the password is wrong.",
    403: "The caller's role does not allow this, or the account is suspended.",
    404: "The id does not exist, or the caller may not see it.",
    409: "The request conflicts with data that exists.",
    503: "The database is not available.",
}
_ABOUT = (
    "A job queue. Send `Authorization: Bearer TOKEN` with the token from `/auth/login`."
    " Every reply is `{success, data, message}` or `{error: {code, message}}`."
)


def document(operations: Sequence[AnyOperation], prefix: str) -> Json:
    """Return the OpenAPI document; `prefix` comes before the path of each operation."""
    schemas: Json = {"Error": _error()}
    paths: Json = {}
    for operation in operations:
        paths.setdefault(prefix + operation.path, {})[operation.method.lower()] = _operation(
            operation, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "chaosfuzz reference job queue", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in operations)],
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
            str(status): {"description": meaning, "content": _json_content(schema)}
            for status, meaning, schema in (
                (200, "Served.", _success(operation, schemas)),
                *((each, _MEANINGS[each], _refusal(each)) for each in operation.statuses),
            )
        },
    }
    if operation.access > Access.USER:
        described["description"] = f"For the role {operation.access.name.lower()} and above."
    if operation.has_body:
        schema = _reference(operation.body, schemas, "validation")
        described["requestBody"] = {"content": _json_content(schema), "required": True}
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
        # A client leaves a parameter out and cannot send null, so null is no part of its schema.
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


def _error() -> Json:
    codes = list(dict.fromkeys(code for codes in _CODES.values() for code in codes))
    properties = {"code": {"enum": codes}, "message": {"type": "string", "minLength": 1}}
    inner = {"type": "object", "properties": properties, "required": ["code", "message"]}
    return {"type": "object", "properties": {"error": inner}, "required": ["error"]}


def _json_content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


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
    """Remove from the schema titles that repeat a field's name, and defaults of absent fields."""
    for each in schema.get("properties", {}).values():
        each.pop("title", None)
        default = each.get("default")
        if default is None or re.match("unset", str(default)):
            each.pop("default", None)
        for kind in each.get("anyOf", ()):
            kind.pop("title", None)
    return schema
