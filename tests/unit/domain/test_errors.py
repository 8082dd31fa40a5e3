import traceback

import pytest

from chaosfuzz.domain.errors import InfrastructureError, UsageError


def test_the_text_is_the_cause_and_the_remedy_below_it():
    error = UsageError(cause="--seed -1 is negative", remedy="use a whole number from 0")
    assert str(error) == "--seed -1 is negative"
    assert error.text == "--seed -1 is negative\nuse a whole number from 0"


def test_a_traceback_shows_the_remedy():
    error = InfrastructureError(cause="the disk is full", remedy="free some space")
    assert traceback.format_exception(error)[-1].splitlines()[-1] == "free some space"


def test_a_place_is_put_before_the_cause():
    error = UsageError(cause="no steps", remedy="add one").at("case.yaml")
    assert type(error) is UsageError
    assert error.text == "case.yaml: no steps\nadd one"


@pytest.mark.parametrize(("kind", "code"), [(UsageError, 2), (InfrastructureError, 3)])
def test_each_kind_has_its_exit_code(kind: type[UsageError | InfrastructureError], code: int):
    assert kind(cause="c", remedy="r").exit_code == code
