"""Requests whose target is a whole URL, as HTTP proxies send them."""

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_ORIGIN = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


class OriginForm:
    """Middleware that removes the origin from an absolute target (RFC 9112, section 3.2.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a target in absolute form loses scheme and host."""
        origin = _ORIGIN.match(scope.get("raw_path", b""))
        if origin is not None:
            raw_path = scope["raw_path"][origin.end() :] or b"/"
            scope = {**scope, "raw_path": raw_path, "path": unquote(raw_path.decode("ascii"))}
        await self._app(scope, receive, send)
