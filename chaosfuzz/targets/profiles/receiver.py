"""Takes ledger lines over HTTP on loopback, for handlers that post instead of writing a file."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Chosen by hand: the most bytes of one post.
MAX_POST_BYTES = 64 * 1024


class _Handler(BaseHTTPRequestHandler):
    server: "LedgerReceiver"

    def do_POST(self) -> None:
        """Append the posted lines; answer 204, or 409 while the receiver has no ledger.

        Answer 411 to a post without a length, 413 to one of over MAX_POST_BYTES.
        """
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= MAX_POST_BYTES:
            self.send_error(413 if length else 411)
            return
        self.send_response(204 if self.server.append(self.rfile.read(length)) else 409)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log nothing."""


class LedgerReceiver(ThreadingHTTPServer):
    """The HTTP server of a lane, listening at `url`. It appends posted lines to a ledger's file."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._thread = threading.Thread(
            target=self.serve_forever, name="ledger-receiver", daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def write_to(self, path: Path) -> None:
        """Append to this file from now on. Until the first call every post is refused."""
        with self._lock:
            self._path = path

    def close(self) -> None:
        """Stop listening, and wait up to 5 s for the server's thread."""
        self.shutdown()
        self.server_close()
        self._thread.join(timeout=5)

    def append(self, content: bytes) -> bool:
        """Append the lines that are not blank in one write; return False if there is no ledger."""
        lines = b"".join(line + b"\n" for line in content.splitlines() if line.strip())
        with self._lock:
            if self._path is None:
                return False
            # The ledger's file is removed with its system, so that no descriptor is kept.
            with self._path.open("ab", buffering=0) as ledger:
                ledger.write(lines)
        return True
