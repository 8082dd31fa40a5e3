"""The database schema as one script that may be applied again and again."""

CHANNEL = "reference_tasks"

# The lock keeps two that apply the schema at once apart; IF NOT EXISTS alone does not.
SCHEMA = """
SELECT pg_advisory_xact_lock(7205759403);

DO $$ BEGIN
    CREATE TYPE task_priority AS ENUM ('low', 'normal', 'high', 'critical');
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

CREATE TABLE IF NOT EXISTS task_types (
    name text PRIMARY KEY,
    description text NOT NULL DEFAULT ''
);

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
    created_by uuid,
    metadata jsonb,
    idempotency_key text UNIQUE,
    locked_by text,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    completed_fence bigint
);

CREATE INDEX IF NOT EXISTS tasks_claimable ON tasks (priority DESC, ready_at, created_at)
    WHERE status IN ('pending', 'retrying');
CREATE INDEX IF NOT EXISTS tasks_leased ON tasks (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX IF NOT EXISTS tasks_newest ON tasks (created_at DESC, id);

-- No uniqueness here: an effect that happened twice has to show as two rows.
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

INSERT INTO task_types (name, description) VALUES
    ('email', 'Sends an email'),
    ('data_processing', 'Applies an operation to an array'),
    ('file_cleanup', 'Removes old files'),
    ('report_generation', 'Writes a report'),
    ('webhook', 'Calls a URL'),
    ('delay_task', 'Waits, with a deadline'),
    ('probe', 'Waits, fails as often as told, then finishes')
ON CONFLICT (name) DO NOTHING;
"""
