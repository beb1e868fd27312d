-- What rules and hooks had to say about a call, the virtual server that it came by, and the trace that it belongs to.
ALTER TABLE audit.tool_intents
  ADD COLUMN via text,
  ADD COLUMN policy jsonb,      -- version of the rules, who spoke, digest of a rewritten input, the approval that was used
  ADD COLUMN trace_id text;     -- W3C trace context, 32 hexadecimal digits
ALTER TABLE audit.tool_outcomes ADD COLUMN policy jsonb;

-- Approvals of single calls. Each is for one caller (user and client), server, tool and version of the rules, and for the
-- very arguments whose digest it has; it is used once, before it expires.
CREATE TABLE tool_approvals (
  id             uuid PRIMARY KEY,
  user_id        uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  user_name      text NOT NULL,
  client         text NOT NULL,
  session_id     text NOT NULL,
  server         text NOT NULL,
  tool           text NOT NULL,
  input_digest   text NOT NULL,
  input          jsonb NOT NULL,                -- redacted and bounded
  policy_version text NOT NULL,
  reason         text NOT NULL,
  approver       text NOT NULL CHECK (approver IN ('caller', 'other')),
  state          text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'approved', 'denied', 'used', 'expired')),
  asked_at       timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL,
  decided_at     timestamptz,
  decided_by     uuid,
  decided_by_name text,
  decided_through text CHECK (decided_through IN ('cli', 'client')),
  used_at        timestamptz,
  execution_id   uuid,                          -- the call that used it
  CHECK (state IN ('waiting', 'expired') OR decided_at IS NOT NULL),
  CHECK ((state = 'used') = (execution_id IS NOT NULL)),
  -- Whatever program decides: nobody approves their own call where somebody else has to.
  CHECK (approver = 'caller' OR state IN ('waiting', 'denied', 'expired') OR (decided_by IS NOT NULL AND decided_by <> user_id))
);
-- One open question for one call, however often it is tried.
CREATE UNIQUE INDEX tool_approvals_open ON tool_approvals (user_id, client, server, tool, input_digest, policy_version)
  WHERE state IN ('waiting', 'approved');
CREATE INDEX tool_approvals_user ON tool_approvals (user_id);
CREATE INDEX tool_approvals_expiry ON tool_approvals (expires_at);

-- What tools returned as artifacts, kept for a while.
CREATE TABLE tool_artifacts (
  execution_id uuid PRIMARY KEY,
  user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  server       text NOT NULL,
  tool         text NOT NULL,
  type         text NOT NULL,
  title        text,
  artifact     jsonb,                           -- redacted; null when it was larger than what is kept
  bytes        integer NOT NULL,                -- as the tool returned it
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL
);
CREATE INDEX tool_artifacts_user ON tool_artifacts (user_id);
CREATE INDEX tool_artifacts_expiry ON tool_artifacts (expires_at);

ALTER TABLE tool_approvals ENABLE ROW LEVEL SECURITY;
ALTER TABLE tool_artifacts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tool_approvals TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text));
CREATE POLICY own ON tool_artifacts TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text));
CREATE POLICY reader ON tool_approvals FOR SELECT TO systemprompt_reader USING (true);
CREATE POLICY reader ON tool_artifacts FOR SELECT TO systemprompt_reader USING (true);

GRANT SELECT, DELETE ON tool_approvals, tool_artifacts TO systemprompt_app;
GRANT INSERT ON tool_artifacts TO systemprompt_app;
-- An approval begins as a question.
GRANT INSERT (id, user_id, user_name, client, session_id, server, tool, input_digest, input, policy_version, reason, approver,
  expires_at) ON tool_approvals TO systemprompt_app;
-- What was asked for stays what it is; only what became of it changes.
GRANT UPDATE (state, decided_at, decided_by, decided_by_name, decided_through, used_at, execution_id)
  ON tool_approvals TO systemprompt_app;
GRANT SELECT ON tool_approvals, tool_artifacts TO systemprompt_reader;

-- Whoever waits for a decision may be another API process than the one that hears of it; the payload is the approval's id.
CREATE FUNCTION tool_approval_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tool_approvals', NEW.id::text);
  RETURN NULL;
END $$;
CREATE TRIGGER tool_approval_decided AFTER UPDATE OF state ON tool_approvals
  FOR EACH ROW WHEN (OLD.state = 'waiting' AND NEW.state <> 'waiting') EXECUTE FUNCTION tool_approval_decided();
