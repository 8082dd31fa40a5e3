"""Routes of the OpenAPI document and of a page for people made from it."""

import html
import json
from collections.abc import Sequence
from functools import cache

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from chaosfuzz.reference.api.dispatch import Resource
from chaosfuzz.reference.api.openapi import Json, document
from chaosfuzz.reference.api.operation import AnyOperation

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color-scheme: light dark; }
h2 { margin-top: 2.5rem; }
details { border-top: 1px solid #8885; padding: .4rem 0; }
summary { cursor: pointer; }
code { font: .95em ui-monospace, monospace; }
b { display: inline-block; width: 4.5rem; font: 700 .85em ui-monospace, monospace; }
pre { background: #8881; padding: .8rem; overflow-x: auto; font-size: .85em; }
small { opacity: .7; }
"""


def document_routes(operations: Sequence[AnyOperation], prefix: str) -> list[Route]:
    """Return the routes of document and page, at the root and without a login.

    The document is made at the first request for either; `prefix` is that of the operations.
    """

    @cache
    def content() -> Json:
        return document(operations, prefix)

    async def openapi(_request: Request) -> Response:
        return Response(json.dumps(content(), indent=1), media_type="application/json")

    async def page(_request: Request) -> Response:
        return HTMLResponse(_page(content()))

    return [
        Route("/api-docs", Resource({"GET": page})),
        Route("/api-docs/openapi.json", Resource({"GET": openapi})),
    ]


def _page(content: Json) -> str:
    title = html.escape(content["info"]["title"])
    about = html.escape(content["info"]["description"]).replace("`", "")
    head = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{about}"
        '<p>The same for programs: <a href="/api-docs/openapi.json">openapi.json</a>'
    )
    parts = [head]
    schemas = content["components"]["schemas"]
    for tag in content["tags"]:
        parts.append(f"<h2>{html.escape(tag['name'])}</h2>")
        parts += [
            _details(path, method, operation, schemas)
            for path, methods in content["paths"].items()
            for method, operation in methods.items()
            if tag["name"] in operation["tags"]
        ]
    shapes = html.escape(json.dumps(schemas, indent=1))
    parts.append(f"<h2>shapes</h2><details><summary>all</summary><pre>{shapes}</pre></details>")
    return "".join(parts)


def _details(path: str, method: str, operation: Json, schemas: Json) -> str:
    parameters = "".join(
        f"<li><code>{html.escape(each['name'])}</code> in {each['in']}:"
        f" <code>{html.escape(json.dumps(each['schema']))}</code>"
        for each in operation["parameters"]
    )
    sent = ""
    if "requestBody" in operation:
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition(
            "/"
        )[2]
        shape = json.dumps(schemas[name], indent=1)
        sent = f"<p>body:<pre>{html.escape(shape)}</pre>"
    statuses = ", ".join(operation["responses"])
    needs = operation.get(
        "description", "For users." if operation["security"] else "For everybody."
    )
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{html.escape(path)}</code>"
        f" <small>{html.escape(operation['summary'])}</small></summary>"
        f"<p>{html.escape(needs)} Answers {statuses}.<ul>{parameters}</ul>{sent}</details>"
    )
