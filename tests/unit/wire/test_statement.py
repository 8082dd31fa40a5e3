"""Keys: stable, readable, and different where statements are."""

import pytest

from chaosfuzz.wire.statement import Classifier, TransactionEffect, closing_key, describe

KEYS = {
    "UPDATE tasks SET status='running' WHERE id=$1": "UPDATE tasks SET status='running'",
    "update tasks set status = 'completed', done = now() where id = 3 and status = 'running'": (
        "UPDATE tasks SET status='completed' WHERE status='running'"
    ),
    "DELETE FROM tasks WHERE status IN ('dead', 'lost')": "DELETE tasks WHERE status='dead'|'lost'",
    "INSERT INTO log (word) VALUES ('started')": "INSERT log 'started'",
    "WITH done AS (UPDATE tasks SET status='completed' RETURNING id)"
    " INSERT INTO effects SELECT id FROM done": "INSERT effects WITH status='completed'",
    "SELECT pg_notify('tasks', $1)": "SELECT pg_notify 'tasks'",
    "SELECT id, lower(status) FROM fetch_job($1, $2)": "SELECT fetch_job",
    "SELECT * FROM queues, fetch_job($1)": "SELECT queues",
    "SELECT 1": "SELECT",
    "LISTEN tasks": "LISTEN tasks",
    "begin; insert into log values (1); commit": "BEGIN;+2",
    " -- a remark\n /* another */ (SELECT id FROM tasks)": "SELECT tasks",
    "": "EMPTY",
}


@pytest.mark.parametrize("text", KEYS)
def test_a_key_reads_aloud(text: str):
    head, bracket, fingerprint = describe(text).key.partition(" [")
    assert head == KEYS[text]
    assert bracket
    assert len(fingerprint) == 9


def test_literals_that_are_states_tell_statements_apart():
    completed, failed = (describe(f"UPDATE tasks SET status='{s}'") for s in ("done", "failed"))
    assert completed.fingerprint == failed.fingerprint
    assert completed.key != failed.key


@pytest.mark.parametrize("data", ["7", "'task-17'", "'" + "x" * 40 + "'", "'a1b2'"])
def test_numbers_ids_and_data_do_not_change_a_key(data: str):
    classifier = Classifier()
    first = classifier.classify(b"UPDATE tasks SET payload = 12 WHERE status='new'")
    second = classifier.classify(f"update tasks set payload={data} where status='new'".encode())
    assert first.key == second.key


def test_a_long_key_is_cut_and_still_tells_apart():
    literals = ", ".join(f"column_{'abcdefgh'[n]} = 'word'" for n in range(8))
    one, other = (describe(f"UPDATE t SET {literals}, z = '{z}'") for z in ("p", "q"))
    assert one.fingerprint == other.fingerprint
    assert one.key != other.key
    assert max(len(one.key), len(other.key)) <= 80


def test_what_does_not_parse_has_a_stable_key():
    one, other = (describe(f"FROB tasks FROM jobs WHERE a = 'lost' AND b = '{n}'") for n in "12")
    assert one.key == other.key
    assert one.key.startswith("FROB jobs 'lost' [x")


def test_a_text_cut_off_in_a_literal_has_the_key_of_its_beginning():
    one, other = (describe("INSERT INTO tasks VALUES ('" + data) for data in ("1" * 9, "2" * 99))
    assert one.key == other.key


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("BEGIN", TransactionEffect.BEGINS),
        ("start transaction", TransactionEffect.BEGINS),
        ("COMMIT", TransactionEffect.ENDS),
        ("ROLLBACK", TransactionEffect.ENDS),
        ("ROLLBACK TO SAVEPOINT a", TransactionEffect.NONE),
        ("COMMIT AND CHAIN", TransactionEffect.NONE),
        ("SELECT 1", TransactionEffect.NONE),
    ],
)
def test_effect_on_the_transaction(text: str, effect: TransactionEffect):
    assert describe(text).effect is effect


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("INSERT INTO a VALUES (1)", True),
        ("WITH b AS (DELETE FROM a RETURNING *) SELECT * FROM b", True),
        ("COPY a FROM STDIN", True),
        ("COPY a TO STDOUT", False),
        ("SELECT * FROM a FOR UPDATE", False),
        ("SELECT id FROM fetch_job($1)", True),
        ("SELECT unnest(defer_jobs($1))", True),
        ("SELECT pg_notify('a', now()::text)", False),
        ("SELECT set_config('a', 'b', false)", False),
        ("SELECT lower(name) FROM a", False),
    ],
)
def test_writes_are_known(text: str, writes: bool):
    assert describe(text).writes is writes


def test_a_commit_is_known_by_what_it_commits():
    write = describe("UPDATE tasks SET status='completed'")
    key = closing_key(describe("commit"), write)
    assert key == f"COMMIT of UPDATE tasks SET status='completed' [{write.fingerprint}]"


def test_the_memory_of_texts_is_bounded():
    classifier = Classifier()
    for number in range(10_000):
        classifier.classify(f"FETCH column_{number}".encode())
    assert len(classifier._known) <= 4096
