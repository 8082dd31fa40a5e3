"""Takes tasks by HTTP: POST /jobs {"payload": {...}} is answered with {"job": {"id": 1}}."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

INSERT = """
INSERT INTO jobs (key, payload) VALUES (%s, %s)
ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING id
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.ask("SELECT 1", ())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.ask(INSERT, (self.headers["Idempotency-Key"], json.dumps(body["payload"])))

    def ask(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            with psycopg.connect(os.environ["CHAOSFUZZ_DSN"], connect_timeout=2) as connection:
                row = connection.execute(statement, values).fetchone()
            self.answer(200, {"job": {"id": row[0]}})
        except psycopg.Error as error:
            self.answer(503, {"error": str(error)})

    def answer(self, status: int, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
