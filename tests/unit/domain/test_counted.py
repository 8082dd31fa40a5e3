import pytest

from chaosfuzz.domain.counted import counted


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 schedules"), (1, "1 schedule"), (2, "2 schedules")]
)
def test_the_noun_has_the_form_that_the_number_asks_for(number: int, told: str):
    assert counted(number, "schedule") == told


def test_a_plural_of_its_own_is_used():
    assert counted(1, "process", "processes") == "1 process"
    assert counted(3, "process", "processes") == "3 processes"
