"""Valid HTTP exchanges as bytes, with the events to be seen in them."""

from dataclasses import dataclass

Steps = tuple[tuple[bool, bytes], ...]


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What is said in turn (True: by the client), and key and completion of its event."""

    steps: Steps
    end: tuple[str, str]


def sized(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(body: bytes, *, trailer: bool = False) -> bytes:
    half = len(body) // 2
    chunks = [chunk for chunk in (body[:half], body[half:]) if chunk]
    framed = b"".join(b"%x;name=value\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    last = b"0\r\nDigest: none\r\n\r\n" if trailer else b"0\r\n\r\n"
    return b"Transfer-Encoding: Chunked\r\n\r\n" + framed + last


def post(body: bytes) -> Exchange:
    asked = b"POST /api/v1/tasks?x=1 HTTP/1.1\r\nHost: a\r\n" + sized(body)
    answered = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + sized(body)
    return Exchange(steps=((True, asked), (False, answered)), end=("POST /api/v1/tasks", "200"))


def streamed(body: bytes, *, trailer: bool) -> Exchange:
    asked = b"PUT /files/17 HTTP/1.1\r\nHost: a\r\n" + chunked(body, trailer=trailer)
    answered = b"HTTP/1.1 500 Not Again\r\n" + chunked(body, trailer=not trailer)
    return Exchange(steps=((True, asked), (False, answered)), end=("PUT /files/{id}", "500"))


def head() -> Exchange:
    asked = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
    answered = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    return Exchange(steps=((True, asked), (False, answered)), end=("HEAD /", "200"))


def unchanged(status: int) -> Exchange:
    asked = b"GET /a HTTP/1.1\nHost: a\n\n"
    answered = b"HTTP/1.1 %d\r\nContent-Length: 7\r\nETag: x\r\n\r\n" % status
    return Exchange(steps=((True, asked), (False, answered)), end=("GET /a", str(status)))


def continued(body: bytes) -> Exchange:
    asked = b"POST /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
    head, empty, body = (asked + sized(body)).partition(b"\r\n\r\n")
    steps = (
        (True, head + empty),
        (False, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n"),
        (True, body),
        (False, b"HTTP/1.1 201 Created\r\n" + sized(b"made")),
    )
    return Exchange(steps=steps, end=("POST /b", "201"))


def unusual() -> Exchange:
    """Empty lines before a request, a folded field, a length said twice."""
    asked = b"\r\n\nPATCH /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"
    answered = b"HTTP/1.1 200\r\nContent-Length: 1\r\ncontent-length:1\r\n\r\nx"
    return Exchange(steps=((True, asked), (False, answered)), end=("PATCH /c", "200"))


def until_the_end(body: bytes) -> Exchange:
    """The server's answer goes on until it closes."""
    asked = b"GET /old HTTP/1.0\r\n\r\n"
    answered = b"HTTP/1.0 200 OK\r\n\r\n" + body
    return Exchange(steps=((True, asked), (False, answered)), end=("GET /old", "200"))


def upgraded(data: bytes) -> Exchange:
    """Both sides go over to another protocol."""
    asked = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    answered = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
    steps = (
        (True, asked),
        (False, answered),
        (False, data),
        (True, data + b"GET / HTTP/1.1\r\n\r\n"),
    )
    return Exchange(steps=steps, end=("GET /chat", "101"))
