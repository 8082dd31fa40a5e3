"""What the HTTP server of a profile says of itself."""

import http.client

from chaosfuzz.domain.history import Health
from chaosfuzz.targets.http_calls import HttpCalls, NeverSentError


def ask_health_of(port: int, path: str, timeout_ms: int, host: str = "127.0.0.1") -> Health:
    """Ask a server, of this machine if no host is given; waits for an answer up to the deadline."""
    try:
        response = HttpCalls(port, timeout_ms / 1000, host=host).request("GET", path, None, {})
    except TimeoutError:
        return Health.TIMED_OUT
    except (NeverSentError, OSError, http.client.HTTPException):
        return Health.UNREACHABLE
    return Health.WELL if 200 <= response.status < 300 else Health.UNWELL
