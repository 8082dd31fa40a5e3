import pytest

from chaosfuzz.domain.outcome import Outcome, Reception, Reply, classify


@pytest.mark.parametrize(
    ("reception", "status", "outcome"),
    [
        (Reception.NEVER_SENT, None, Outcome.FAILED),
        (Reception.SENT_WITHOUT_ANSWER, None, Outcome.UNKNOWN),
        (Reception.ANSWERED, None, Outcome.UNKNOWN),
        (Reception.ANSWERED, 200, Outcome.OK),
        (Reception.ANSWERED, 201, Outcome.OK),
        (Reception.ANSWERED, 204, Outcome.OK),
        (Reception.ANSWERED, 302, Outcome.UNKNOWN),
        (Reception.ANSWERED, 400, Outcome.FAILED),
        (Reception.ANSWERED, 404, Outcome.FAILED),
        (Reception.ANSWERED, 409, Outcome.FAILED),
        (Reception.ANSWERED, 499, Outcome.FAILED),
        (Reception.ANSWERED, 500, Outcome.UNKNOWN),
        (Reception.ANSWERED, 503, Outcome.UNKNOWN),
    ],
)
def test_a_reply_has_one_outcome(reception: Reception, status: int | None, outcome: Outcome):
    assert classify(Reply(reception=reception, status=status)) is outcome
