import pytest

from chaosfuzz.domain.history import Fault, FaultKind, History
from chaosfuzz.scenarios.monitor import ApiCall, in_outage, is_graceful

MS = 10**6
TIMEOUT_MS = 1000


def history(kind: FaultKind) -> History:
    fault = Fault(kind=kind, component="x", began_ns=100 * MS, ended_ns=200 * MS)
    return History(began_ns=0, faults=[fault])


def call(status: int | None, sent_ms: int = 150, took_ms: int = 1) -> ApiCall:
    sent_ns = sent_ms * MS
    return ApiCall(path="/", sent_ns=sent_ns, ended_ns=sent_ns + took_ms * MS, status=status)


@pytest.mark.parametrize(
    ("sent_ms", "took_ms", "kind", "expected"),
    [
        (150, 1, FaultKind.DATABASE_DOWN, True),
        (99, 2, FaultKind.SERVER_DOWN, True),
        (50, 1, FaultKind.DATABASE_DOWN, False),
        (201, 1, FaultKind.DATABASE_DOWN, False),
        (150, 1, FaultKind.KILLED, False),
    ],
)
def test_an_outage_excuses_requests_that_touch_it(
    sent_ms: int, took_ms: int, kind: FaultKind, expected: bool
):
    assert in_outage(call(None, sent_ms, took_ms), history(kind)) is expected


@pytest.mark.parametrize(
    ("status", "took_ms", "kind", "expected"),
    [
        (200, 1, FaultKind.DATABASE_DOWN, True),
        (503, 1, FaultKind.DATABASE_DOWN, True),
        (500, 1, FaultKind.DATABASE_DOWN, False),
        (401, 1, FaultKind.DATABASE_DOWN, False),
        (None, 1, FaultKind.DATABASE_DOWN, False),
        (None, 1, FaultKind.SERVER_DOWN, True),
        (None, 1000, FaultKind.SERVER_DOWN, False),
    ],
)
def test_only_a_quick_refusal_or_an_honest_error_is_graceful(
    status: int | None, took_ms: int, kind: FaultKind, expected: bool
):
    asked = call(status, took_ms=took_ms)
    assert is_graceful(asked, history(kind), TIMEOUT_MS) is expected
