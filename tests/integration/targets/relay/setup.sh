"$PYTHON" - <<'PROGRAM'
import os

import psycopg

with psycopg.connect(os.environ["CHAOSFUZZ_DSN"]) as connection:
    connection.execute("""create table jobs (
        id serial primary key, key text unique, payload jsonb, state text not null default 'new',
        tries int not null default 0, lock_until timestamptz, error text)""")
PROGRAM
