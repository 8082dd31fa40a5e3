"""The database schema as one SQL script; applying it again changes nothing."""

CHANNEL = "reference_tasks"
# Raised by one with every change of an existing table, which IF NOT EXISTS would not change.
VERSION = 2

# The script refuses a database of another version. There are no migrations, since the databases
# belong to tests. A database with tables and without a version has version 1.
_SAME_VERSION = f"""
DO $$ DECLARE found integer; BEGIN
    IF to_regclass('schema_version') IS NOT NULL THEN
        SELECT version INTO found FROM schema_version;
    ELSIF to_regclass('tasks') IS NOT NULL THEN
        found := 1;
    END IF;
    IF found <> {VERSION} THEN
        RAISE EXCEPTION 'the database has schema version %, this program works with version % '
            'only; use a new database, or the program that made this one', found, {VERSION};
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS schema_version (version integer PRIMARY KEY);
INSERT INTO schema_version (version) VALUES ({VERSION}) ON CONFLICT DO NOTHING;
"""

# Two processes may apply the script at once. IF NOT EXISTS alone would fail; the lock lets them
# take turns.
SCHEMA = (
    f"""
SELECT pg_advisory_xact_lock(7205759403);
{_SAME_VERSION}"""
    """

DO $$ BEGIN
    CREATE TYPE task_priority AS ENUM ('low', 'normal', 'high', 'critical');
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

CREATE TABLE IF NOT EXISTS task_types (
    name text PRIMARY KEY,
    description text NOT NULL DEFAULT ''
);

CREATE TABLE IF NOT EXISTS users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    username text NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'moderator', 'admin')),
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_login_at timestamptz
);

CREATE UNIQUE INDEX IF NOT EXISTS users_username ON users (lower(username));
CREATE UNIQUE INDEX IF NOT EXISTS users_email ON users (lower(email));

CREATE TABLE IF NOT EXISTS sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    refreshed_at timestamptz
);

CREATE INDEX IF NOT EXISTS sessions_of_user ON sessions (user_id);

CREATE TABLE IF NOT EXISTS tasks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    task_type text NOT NULL REFERENCES task_types (name),
    payload jsonb NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN
        ('pending', 'running', 'completed', 'failed', 'cancelled', 'retrying')),
    priority task_priority NOT NULL DEFAULT 'normal',
    retry_strategy jsonb NOT NULL DEFAULT '{"kind": "exponential"}',
    max_attempts integer NOT NULL DEFAULT 3 CHECK (max_attempts > 0),
    current_attempt integer NOT NULL DEFAULT 0,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    scheduled_at timestamptz,
    ready_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    completed_at timestamptz,
    created_by uuid REFERENCES users (id) ON DELETE SET NULL,
    metadata jsonb,
    idempotency_key text,
    locked_by text,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    completed_fence bigint,
    breaker_opened bigint
);

CREATE INDEX IF NOT EXISTS tasks_claimable ON tasks (priority DESC, ready_at, created_at)
    WHERE status IN ('pending', 'retrying');
CREATE INDEX IF NOT EXISTS tasks_leased ON tasks (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX IF NOT EXISTS tasks_newest ON tasks (created_at DESC, id);
CREATE INDEX IF NOT EXISTS tasks_of_user ON tasks (created_by, created_at DESC, id);
-- Keys are unique for each user, so a guessed key does not return another user's task.
CREATE UNIQUE INDEX IF NOT EXISTS tasks_idempotent ON tasks (created_by, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- Without a unique index, so that an effect that happened twice shows as two rows.
CREATE TABLE IF NOT EXISTS effects (
    task_id uuid NOT NULL,
    fence bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE OR REPLACE FUNCTION announce_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('reference_tasks', '');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER announce_task AFTER INSERT OR UPDATE OF status ON tasks
    FOR EACH ROW WHEN (NEW.status IN ('pending', 'retrying')) EXECUTE FUNCTION announce_task();

-- A type without a row has a closed breaker. While half-open, the breaker admits one task, the
-- probe, until probe_until.
CREATE TABLE IF NOT EXISTS circuit_breakers (
    task_type text PRIMARY KEY,
    state text NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'open', 'half-open')),
    failures integer NOT NULL DEFAULT 0,
    successes integer NOT NULL DEFAULT 0,
    opened bigint NOT NULL DEFAULT 0,
    opened_at timestamptz,
    probe uuid,
    probe_fence bigint,
    probe_until timestamptz
);

CREATE TABLE IF NOT EXISTS circuit_breaker_transitions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_type text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    at timestamptz NOT NULL
);

-- A closing breaker wakes the workers that wait for tasks.
CREATE OR REPLACE FUNCTION record_breaker_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO circuit_breaker_transitions (task_type, from_state, to_state, at)
        VALUES (NEW.task_type, OLD.state, NEW.state,
            CASE NEW.state WHEN 'open' THEN NEW.opened_at ELSE clock_timestamp() END);
    IF NEW.state = 'closed' THEN
        PERFORM pg_notify('reference_tasks', '');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER record_breaker_transition AFTER UPDATE OF state ON circuit_breakers
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION record_breaker_transition();

INSERT INTO task_types (name, description) VALUES
    ('email', 'Sends an email'),
    ('data_processing', 'Applies an operation to an array'),
    ('file_cleanup', 'Removes old files'),
    ('report_generation', 'Writes a report'),
    ('webhook', 'Calls a URL'),
    ('delay_task', 'Waits, with a deadline'),
    ('probe', 'Waits, fails as often as told, then finishes'),
    ('probe_b', 'A probe with a breaker of its own'),
    ('probe_c', 'A probe with a breaker of its own')
ON CONFLICT (name) DO NOTHING;
"""
)
