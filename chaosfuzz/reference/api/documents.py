"""What there is to read about the API: the OpenAPI document, and a page for people."""

import html
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from chaosfuzz.reference.api.dispatch import Resource
from chaosfuzz.reference.api.openapi import document
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


class Documents:
    """Open to everybody, and made when somebody first asks."""

    def __init__(self, operations: Sequence[AnyOperation], prefix: str) -> None:
        self._operations = operations
        self._prefix = prefix

    def routes(self) -> list[Route]:
        """Both routes, at the root."""
        return [
            Route("/api-docs", Resource({"GET": self._page})),
            Route("/api-docs/openapi.json", Resource({"GET": self._document})),
        ]

    async def _document(self, _request: Request) -> Response:
        return Response(self._json, media_type="application/json")

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(self._html)

    @cached_property
    def _content(self) -> dict[str, Any]:
        return document(self._operations, self._prefix)

    @cached_property
    def _json(self) -> str:
        return json.dumps(self._content, indent=1)

    @cached_property
    def _html(self) -> str:
        title = html.escape(self._content["info"]["title"])
        about = html.escape(self._content["info"]["description"]).replace("`", "")
        head = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
            f"<h1>{title}</h1><p>{about}"
            '<p>The same for programs: <a href="/api-docs/openapi.json">openapi.json</a>'
        )
        parts = [head]
        for tag in self._content["tags"]:
            parts.append(f"<h2>{html.escape(tag['name'])}</h2>")
            for path, methods in self._content["paths"].items():
                parts += [
                    _shown(path, method, each, self._content)
                    for method, each in methods.items()
                    if tag["name"] in each["tags"]
                ]
        schemas = html.escape(json.dumps(self._content["components"]["schemas"], indent=1))
        parts.append(
            f"<h2>shapes</h2><details><summary>all</summary><pre>{schemas}</pre></details>"
        )
        return "".join(parts)


def _shown(path: str, method: str, operation: dict[str, Any], whole: dict[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{html.escape(each['name'])}</code> in {each['in']}:"
        f" <code>{html.escape(json.dumps(each['schema']))}</code>"
        for each in operation["parameters"]
    )
    body = operation.get("requestBody")
    sent = ""
    if body is not None:
        name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        shape = json.dumps(whole["components"]["schemas"][name], indent=1)
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
