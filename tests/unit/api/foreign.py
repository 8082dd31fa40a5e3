"""A server that speaks the API in its own way: fewer fields, and null for what is absent."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = tuple[int, object]
Route = Callable[[str, dict[str, object]], Reply]


@contextmanager
def serving(route: Route) -> Iterator[str]:
    """Serve `route(method and path, body)` and yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"{}")
            status, content = route(f"{self.command} {self.path}", body)
            sent = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the name that is looked up

        def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class ForeignSystem:
    """Keeps tasks in memory; each listing brings one of them to its end."""

    def __init__(self, ending: str = "completed") -> None:
        self.tasks: list[dict[str, object]] = []
        self.ending = ending
        self.forgets = False

    def __call__(self, asked: str, body: dict[str, object]) -> Reply:
        method, _, path = asked.removeprefix("/").partition(" ")
        if path == "/api/v1/auth/register":
            return 200, {"success": True, "data": {"id": "u1"}}
        if path == "/api/v1/auth/login":
            return 200, {"success": True, "data": {"session_token": "t1"}}
        if path == "/api/v1/auth/me":
            return 200, {"success": True, "data": {"id": "u1"}}
        if path == "/api/v1/tasks" and method == "POST":
            new = {"id": str(len(self.tasks)), "status": "pending", "metadata": body["metadata"]}
            self.tasks.append(new)
            return 200, {"success": True, "data": {"id": new["id"]}}
        if path.startswith("/api/v1/tasks?"):
            waiting = [task for task in self.tasks if task["status"] == "pending"]
            if waiting and not self.forgets:
                waiting[0]["status"] = self.ending
            return 200, {"success": True, "data": [] if self.forgets else self.tasks}
        return 200, {"success": True, "data": None, "message": None}
