"""Seeds of orders, and what of two runs' requests is compared."""

from chaosfuzz.campaign.serial import in_series, serial_seed
from chaosfuzz.campaign.serialbench import compose, trace_of
from chaosfuzz.domain.moment import Alphabet, EventClass
from chaosfuzz.domain.schedule import MAX_SERIAL_SEED, Schedule
from chaosfuzz.domain.wire import Request

ALPHABET = Alphabet(events=(EventClass(role="worker", event="PING", background=True),))


def request(event: str, ended_ns: int | None, *, component: str = "worker-1", **fields: str):
    return Request(component=component, event=event, at_ns=0, ended_ns=ended_ns, **fields)


def test_a_schedule_of_a_search_always_has_the_same_seed_and_no_other_has_it() -> None:
    seeds = {serial_seed(seed, number) for seed in range(20) for number in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed <= MAX_SERIAL_SEED for seed in seeds)
    drawn = [Schedule(workers=1, steps=())] * 3
    expected = [serial_seed(7, number) for number in (1, 2, 3)]
    assert [schedule.serial_seed for schedule in in_series(iter(drawn), 7)] == expected


def test_requests_are_compared_in_the_order_of_their_answers_until_the_fault() -> None:
    requests = [
        request("CLAIM", 30, completion="UPDATE 1"),
        request("CLAIM", 10, component="worker-2", completion="UPDATE 1"),
        request("CLAIM", 51, completion="UPDATE 1"),
    ]
    assert trace_of(requests, ALPHABET, 50) == ("worker-2 CLAIM", "worker-1 CLAIM")


def test_what_comes_by_the_clock_or_has_no_effect_is_not_compared() -> None:
    requests = [
        request("CLAIM", 10, completion="UPDATE 0"),
        request("PING", 11, completion="SELECT 1"),
        request("PING", 12, component="server-1", completion="SELECT 1"),
        request("CLAIM", None),
        request("POST /tasks", 13, component="client-1", completion="200"),
        request("CLAIM", 14, completion="57P01"),
    ]
    assert trace_of(requests, ALPHABET, 50) == ("server-1 PING",)


def test_both_arms_run_the_same_steps() -> None:
    serial, free = compose("UPDATE x", 5), compose("UPDATE x", None)
    assert (serial.serial_seed, free.serial_seed) == (5, None)
    assert serial.steps == free.steps
    assert serial.workers == 2
