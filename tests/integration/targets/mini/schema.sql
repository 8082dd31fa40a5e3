CREATE TABLE jobs (
  id bigserial PRIMARY KEY,
  token text NOT NULL,
  duration_ms int NOT NULL,
  status text NOT NULL DEFAULT 'queued',
  attempts int NOT NULL DEFAULT 0,
  locked_until timestamptz
);
