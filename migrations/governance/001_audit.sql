-- The audit of tool calls: append-only. One intent before a call is made, at most one outcome after it.
-- No foreign key from outcome to intent: it would cost a locked lookup for every call, and the writer's order
-- (the intent is committed before the call begins) gives the same.

CREATE SCHEMA audit;
REVOKE ALL ON SCHEMA audit FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO systemprompt_app, systemprompt_audit;

-- API processes that write. Each holds a shared advisory lock on its id as long as it has a connection.
CREATE TABLE audit.writers (
  instance   uuid PRIMARY KEY,
  started_at timestamptz NOT NULL DEFAULT now(),
  closed_at  timestamptz
);

CREATE TABLE audit.tool_intents (
  execution_id uuid PRIMARY KEY,               -- version 7: ordered by time
  api_instance uuid NOT NULL,
  server       text NOT NULL,
  tool         text NOT NULL,
  user_id      text NOT NULL,
  user_name    text NOT NULL,
  session_id   text NOT NULL,
  client       text,
  scopes       text[] NOT NULL,                -- what the caller held
  required     text[] NOT NULL,                -- what server and tool asked for
  input_digest text NOT NULL,                  -- SHA-256, hex, of the canonical JSON (RFC 8785) of the whole input
  input        jsonb NOT NULL,                 -- redacted and bounded
  decision     text NOT NULL CHECK (decision IN ('allowed', 'refused')),
  started_at   timestamptz NOT NULL
);
-- Open intents of one instance, in order of time.
CREATE INDEX tool_intents_instance ON audit.tool_intents (api_instance, execution_id);

CREATE TABLE audit.tool_outcomes (
  execution_id  uuid PRIMARY KEY,
  status        text NOT NULL CHECK (status IN
                  ('success', 'tool_error', 'failed', 'refused', 'timeout', 'cancelled', 'interrupted')),
  error         text,                          -- redacted and bounded
  output_digest text,                          -- SHA-256, hex, of the answer's bytes
  output_bytes  bigint,
  latency_us    bigint,                        -- from the arrival of the call to its outcome
  upstream_us   bigint,                        -- of that, spent waiting for the server
  recorded_at   timestamptz NOT NULL DEFAULT now()
);

-- Nobody changes history, the owner included. ALWAYS: not even a session that plays the replica.
CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION '% on %.% is refused: the audit is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.tool_intents
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.tool_outcomes
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.tool_intents ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE audit.tool_outcomes ENABLE ALWAYS TRIGGER append_only;

-- Closes what a dead API instance left open: each of its intents without an outcome gets 'interrupted'.
-- Waits for the instance's advisory lock first: a statement that its server process is still finishing is seen, and
-- an instance that is alive in truth makes the call fail (SQLSTATE 55P03) instead of losing its outcomes.
CREATE FUNCTION audit.close_interrupted(instance uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
  closed integer;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('systemprompt.audit.writer:' || close_interrupted.instance::text, 0));
  INSERT INTO audit.tool_outcomes (execution_id, status, error)
    SELECT i.execution_id, 'interrupted', 'The API process ended before the outcome was recorded.'
    FROM audit.tool_intents i
    WHERE i.api_instance = close_interrupted.instance
      AND NOT EXISTS (SELECT FROM audit.tool_outcomes o WHERE o.execution_id = i.execution_id)
    ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS closed = ROW_COUNT;
  UPDATE audit.writers w SET closed_at = now() WHERE w.instance = close_interrupted.instance AND w.closed_at IS NULL;
  RETURN closed;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA audit FROM PUBLIC, systemprompt_app, systemprompt_audit;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC, systemprompt_app, systemprompt_audit;
REVOKE UPDATE, DELETE, TRUNCATE ON audit.tool_intents, audit.tool_outcomes FROM CURRENT_USER;
GRANT INSERT ON audit.tool_intents, audit.tool_outcomes TO systemprompt_audit;
GRANT INSERT (instance) ON audit.writers TO systemprompt_audit;
GRANT SELECT ON audit.writers, audit.tool_intents, audit.tool_outcomes TO systemprompt_app;
GRANT EXECUTE ON FUNCTION audit.close_interrupted(uuid) TO systemprompt_app;
