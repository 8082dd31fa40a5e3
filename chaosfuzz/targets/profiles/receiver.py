"""Takes ledger lines over HTTP on loopback, for handlers that would rather post than write."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MAX_LINE_BYTES = 64 * 1024


class LedgerReceiver:
    """An HTTP server of one lane; what is posted is appended to the ledger of the schedule."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="ledger-receiver", daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def write_to(self, path: Path | None) -> None:
        """Append to this file from now on; to none, posts are refused."""
        with self._lock:
            self._path = path

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def _append(self, content: bytes) -> bool:
        lines = b"".join(line + b"\n" for line in content.splitlines() if line.strip())
        with self._lock:
            if self._path is None:
                return False
            descriptor = os.open(
                self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666
            )
            try:
                os.write(descriptor, lines)
            finally:
                os.close(descriptor)
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """Answers 204 once a line is in the ledger."""

            def do_POST(self) -> None:
                """Take one line."""
                length = int(self.headers.get("Content-Length") or 0)
                if not 0 < length <= MAX_LINE_BYTES:
                    self.send_error(413 if length else 411)
                    return
                taken = receiver._append(self.rfile.read(length))
                self.send_response(204 if taken else 409)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's
                """Say nothing."""

        return Handler
