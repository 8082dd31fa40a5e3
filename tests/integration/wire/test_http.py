"""A real HTTP server behind the proxy: what clients see, and what each intervention does."""

import contextlib
import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from integration.wire.harness import WAIT_S
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from chaosfuzz.wire import (
    Cut,
    Delay,
    Event,
    Hold,
    Phase,
    Proxy,
    Release,
    Rule,
    RuleController,
    Side,
    Strike,
    Zombie,
)

SIDES = pytest.mark.parametrize("side", Side)
CREATE = "POST /tasks"
MEGABYTES = b"0123456789abcdef" * 500_000


class Site:
    """A server that counts what reaches it, and a proxy before it."""

    def __init__(self) -> None:
        self.created: list[bytes] = []
        routes = [
            Route("/tasks", self.create, methods=["POST"]),
            Route("/digest", self.digest, methods=["POST"]),
            Route("/stream/{size:int}", self.stream),
        ]
        config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off")
        self.server = uvicorn.Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.upstream = ("127.0.0.1", self.listener.getsockname()[1])
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()
        self.controller = RuleController()
        self.proxy = Proxy(self.controller)
        self.port = self.proxy.listen_http("client-1", self.upstream)

    async def create(self, request: Request) -> Response:
        self.created.append(await request.body())
        return PlainTextResponse(f"task {len(self.created)}")

    async def digest(self, request: Request) -> Response:
        found = hashlib.sha256()
        async for chunk in request.stream():
            found.update(chunk)
        return PlainTextResponse(found.hexdigest())

    async def stream(self, request: Request) -> Response:
        count = request.path_params["size"] // 1000
        return StreamingResponse(b"x" * 1000 for _ in range(count))

    def close(self) -> None:
        self.proxy.close()
        self.stop_server()
        self.listener.close()

    def stop_server(self) -> None:
        self.server.should_exit = True
        self.thread.join(WAIT_S)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)

    def post(self, path: str = "/tasks", body: object = b"new") -> tuple[int, bytes]:
        connection = self.connect()
        try:
            connection.request("POST", path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def rule(self, intervention: object, key: str = CREATE) -> Rule:
        rule = Rule(component="client-1", key=key, intervention=intervention)
        self.controller.add(rule)
        return rule

    def fired(self, rule: Rule) -> Event:
        event = self.controller.wait_fired(rule, WAIT_S)
        assert event is not None, self.controller.trace()
        return event

    def ends(self) -> list[tuple[str, str]]:
        """How every request ended; a client has its answer an instant before that."""
        wait_until(lambda: self.count(Phase.ARRIVED) == self.count(Phase.ENDED))
        trace = self.controller.trace()
        return [(entry.key, entry.detail) for entry in trace if entry.phase is Phase.ENDED]

    def count(self, phase: Phase) -> int:
        return sum(entry.phase is phase for entry in self.controller.trace())


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    try:
        yield made
        made.proxy.check()
    finally:
        made.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_a_connection_that_is_kept_alive(site: Site):
    connection = site.connect()
    for number in (1, 2, 3):
        connection.request("POST", "/tasks", b"body")
        assert connection.getresponse().read() == b"task %d" % number
    connection.request("HEAD", "/stream/5000")
    assert connection.getresponse().read() == b""
    connection.request("GET", "/stream/5000")
    assert len(connection.getresponse().read()) == 5000
    connection.request("POST", "/nowhere/17?x=1", headers={"Connection": "close"})
    assert connection.getresponse().status == 404
    connection.close()
    expected = [(CREATE, "200")] * 3
    expected += [("HEAD /stream/{id}", "200"), ("GET /stream/{id}", "200")]
    assert site.ends() == [*expected, ("POST /nowhere/{id}", "404")]
    events = [entry for entry in site.controller.trace() if entry.phase is Phase.ARRIVED]
    assert [event.nth for event in events if event.key == CREATE] == [1, 2, 3]


def test_pipelined_requests_are_answered_in_order(site: Site):
    with socket.create_connection(("127.0.0.1", site.port), WAIT_S) as client:
        asked = b"POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nnew"
        last = b"GET /stream/2000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        client.sendall(asked * 3 + last)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert [answer.index(b"task %d" % number) for number in (1, 2, 3)] == sorted(
        answer.index(b"task %d" % number) for number in (1, 2, 3)
    )
    assert site.ends() == [(CREATE, "200")] * 3 + [("GET /stream/{id}", "200")]


def test_a_body_that_waits_to_be_asked_for(site: Site):
    with socket.create_connection(("127.0.0.1", site.port), WAIT_S) as client:
        client.sendall(
            b"POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"new")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert site.created == [b"new"]


@pytest.mark.parametrize("is_chunked", [True, False])
def test_large_bodies_both_ways(site: Site, is_chunked: bool):
    pieces = [MEGABYTES[at : at + 100_000] for at in range(0, len(MEGABYTES), 100_000)]
    body = iter(pieces) if is_chunked else MEGABYTES
    status, digest = site.post("/digest", body)
    assert (status, digest.decode()) == (200, hashlib.sha256(MEGABYTES).hexdigest())
    connection = site.connect()
    connection.request("GET", "/stream/8000000")
    assert len(connection.getresponse().read()) == 8_000_000
    connection.close()


def test_a_slow_reader_holds_the_server_back(site: Site):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = site.proxy.listen_http("client-2", server.getsockname())
        with socket.create_connection(("127.0.0.1", port), WAIT_S) as client:
            client.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            taken, _address = server.accept()
            with taken:
                taken.recv(65536)
                taken.settimeout(0.5)
                head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
                sent = taken.send(head)
                with contextlib.suppress(TimeoutError):
                    while sent < 100_000_000:
                        sent += taken.send(b"x" * 100_000)
                # Less than the whole: the buffers of four sockets and of the proxy.
                assert sent < 100_000_000
                taken.settimeout(WAIT_S)
                left = sent
                while left:
                    left -= len(client.recv(1 << 20))


@SIDES
def test_a_cut_before_leaves_nothing_and_after_loses_the_reply(site: Site, side: Side):
    rule = site.rule(Cut(side=side))
    with pytest.raises(ConnectionResetError):
        site.post()
    event = site.fired(rule)
    assert event.completion == ("200" if side is Side.AFTER else "CUT")
    assert len(site.created) == (1 if side is Side.AFTER else 0)
    assert site.post()[0] == 200


@SIDES
def test_a_delay_is_felt_and_harmless(site: Site, side: Side):
    rule = site.rule(Delay(delay_ms=100, side=side))
    began = time.monotonic()
    assert site.post() == (200, b"task 1")
    assert time.monotonic() - began >= 0.1
    site.fired(rule)


@SIDES
def test_a_hold_lasts_until_it_is_released(site: Site, side: Side):
    release = Release()
    rule = site.rule(Hold(release=release, deadline_ms=60_000, side=side))
    answers: list[tuple[int, bytes]] = []
    asking = threading.Thread(target=lambda: answers.append(site.post()))
    asking.start()
    site.fired(rule)
    assert len(site.created) == (1 if side is Side.AFTER else 0)
    assert answers == []
    release.set()
    asking.join(WAIT_S)
    assert answers == [(200, b"task 1")]


@SIDES
def test_a_server_ended_at_a_request_has_it_or_not_and_nobody_hears(site: Site, side: Side):
    # The loop of uvicorn cannot be killed within a process; its sockets are as good as gone.
    seen: list[int] = []
    rule = site.rule(Strike(action=lambda _event: seen.append(len(site.created)), side=side))
    with pytest.raises(ConnectionResetError):
        site.post()
    site.fired(rule)
    assert seen == [1 if side is Side.AFTER else 0]
    with pytest.raises(ConnectionError):
        site.post()
    site.proxy.new_incarnation("client-1")
    assert site.post()[0] == 200


@SIDES
def test_a_client_that_is_dropped_leaves_the_server_its_request(site: Site, side: Side):
    rule = site.rule(Zombie(side=side))
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        site.post()
    site.fired(rule)
    assert len(site.created) == (1 if side is Side.AFTER else 0)


def test_a_held_reply_of_megabytes_arrives_whole(site: Site):
    key = "GET /stream/{id}"
    rule = site.rule(Hold(release=Release(), deadline_ms=50, side=Side.AFTER), key)
    connection = site.connect()
    connection.request("GET", "/stream/5000000")
    assert len(connection.getresponse().read()) == 5_000_000
    connection.close()
    assert site.fired(rule).expired


def connect_and_read(client: socket.socket, port: int) -> bytes:
    """Read a byte; a reset may come as early as while connecting."""
    client.connect(("127.0.0.1", port))
    return client.recv(1)


def test_a_server_that_is_away_refuses_and_the_proxy_says_so(site: Site):
    site.stop_server()
    with socket.socket() as client:
        client.settimeout(WAIT_S)
        client.bind(("127.0.0.1", 0))
        port = client.getsockname()[1]
        with pytest.raises(ConnectionResetError):
            connect_and_read(client, site.port)
    assert site.proxy.has_refused("client-1", port)
    assert not site.proxy.has_refused("client-1", port + 1)
    assert site.ends() == []


def test_a_client_that_goes_leaves_nothing_open(site: Site):
    with socket.create_connection(("127.0.0.1", site.port), WAIT_S) as client:
        client.sendall(b"POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nnew")
        wait_until(lambda: bool(site.controller.trace()))
    wait_until(lambda: site.ends() == [(CREATE, "CUT")])


def test_another_server_for_the_next_schedule(site: Site):
    other = Site()
    try:
        site.proxy.redirect("client-1", other.upstream)
        assert site.post() == (200, b"task 1")
        assert (len(site.created), len(other.created)) == (0, 1)
    finally:
        other.close()
