-- What was granted beyond the tiers that roles imply: named scopes of one server, to a user, a role, an agent or a client.
-- Grants only add; a revoked one stays as a record.
CREATE TABLE access_grants (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  subject_type text NOT NULL CHECK (subject_type IN ('user', 'role', 'agent', 'client')),
  subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 2000), -- a user's id, a role, an agent's name, a client's id
  server text NOT NULL CHECK (length(server) BETWEEN 1 AND 100),
  -- Never a tier: those come from roles alone.
  scope text NOT NULL CHECK (
    scope ~ '^[\x21\x23-\x5B\x5D-\x7E]{1,200}$'
    AND scope NOT IN ('admin', 'user', 'service', 'a2a', 'mcp', 'anonymous')),
  tool text CHECK (length(tool) BETWEEN 1 AND 256), -- the tool that it was granted for, when it was asked for so
  created_by uuid NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
  created_at timestamptz NOT NULL DEFAULT now(),
  revoked_by uuid REFERENCES users (id) ON DELETE RESTRICT,
  revoked_at timestamptz,
  CHECK (subject_type <> 'user' OR subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
  CHECK (subject_type <> 'role' OR subject IN ('admin', 'user', 'service', 'a2a', 'mcp', 'anonymous')),
  CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE UNIQUE INDEX access_grants_live ON access_grants (subject_type, subject, server, scope) WHERE revoked_at IS NULL;
CREATE INDEX access_grants_by_server ON access_grants (server) WHERE revoked_at IS NULL;

-- Who loses a grant loses the tokens that were issued before: a client renews them and gets what is left.
CREATE FUNCTION access_grants_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN NEW := OLD; END IF;
  UPDATE users SET access_version = access_version + 1
  WHERE status = 'active' AND CASE NEW.subject_type
    WHEN 'user' THEN id = NEW.subject::uuid
    WHEN 'role' THEN NEW.subject = ANY (roles)
    ELSE id IN (SELECT user_id FROM user_sessions
                WHERE client = NEW.subject AND revoked_at IS NULL AND expires_at > now())
  END;
  RETURN NULL;
END $$;

CREATE TRIGGER access_grants_count AFTER UPDATE ON access_grants
  FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION access_grants_count();
CREATE TRIGGER access_grants_count_deleted AFTER DELETE ON access_grants
  FOR EACH ROW WHEN (OLD.revoked_at IS NULL) EXECUTE FUNCTION access_grants_count();

-- Tokens that people make for their own programs. Shown once: what is kept is the SHA-256.
CREATE TABLE personal_access_tokens (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
  session_id uuid NOT NULL UNIQUE REFERENCES user_sessions (id) ON DELETE RESTRICT,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  audience text NOT NULL CHECK (length(audience) BETWEEN 1 AND 2000),
  scopes text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 100),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
  last_used_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX personal_access_tokens_by_user ON personal_access_tokens (user_id, created_at DESC);

-- The audit of identity: who signed in, who was given or lost what. Append-only, in the order of `id`.
-- No foreign keys: it outlives what it tells of.
CREATE TABLE identity_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  type text NOT NULL CHECK (type ~ '^[a-z][a-z_]{2,39}$'),
  user_id uuid,                                    -- whom it is about
  actor_id uuid,                                   -- who did it, when that is somebody else
  client_id text CHECK (length(client_id) <= 2000),
  session_id uuid,
  resource text CHECK (length(resource) <= 2000),  -- an audience, or the name of a server
  address text CHECK (length(address) <= 100),
  data jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(data) = 'object' AND octet_length(data::text) <= 16384)
);
CREATE INDEX identity_events_by_user ON identity_events (user_id, id DESC);
CREATE INDEX identity_events_by_actor ON identity_events (actor_id, id DESC) WHERE actor_id IS NOT NULL;
CREATE INDEX identity_events_by_client ON identity_events (client_id, id DESC) WHERE client_id IS NOT NULL;
CREATE INDEX identity_events_by_type ON identity_events (type, id DESC);
CREATE INDEX identity_events_by_time ON identity_events (at);

-- Nobody changes history, the owner included. ALWAYS: not even a session that plays the replica.
CREATE FUNCTION identity_events_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION '% on identity_events is refused: the audit is append-only', TG_OP
    USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON identity_events
  FOR EACH STATEMENT EXECUTE FUNCTION identity_events_refuse_change();
ALTER TABLE identity_events ENABLE ALWAYS TRIGGER append_only;
REVOKE UPDATE, DELETE, TRUNCATE ON identity_events FROM CURRENT_USER;

GRANT SELECT, INSERT ON access_grants TO systemprompt_app;
GRANT UPDATE (revoked_at, revoked_by) ON access_grants TO systemprompt_app;
GRANT SELECT, INSERT ON personal_access_tokens TO systemprompt_app;
GRANT UPDATE (last_used_at, revoked_at) ON personal_access_tokens TO systemprompt_app;
GRANT SELECT ON identity_events TO systemprompt_app;
-- Number and time are the database's own.
GRANT INSERT (type, user_id, actor_id, client_id, session_id, resource, address, data) ON identity_events
  TO systemprompt_app;

-- What people may look at with `infra db query`: all of it but the hash of a token.
GRANT SELECT ON access_grants, identity_events TO systemprompt_reader;
GRANT SELECT (id, user_id, session_id, name, audience, scopes, created_at, expires_at, last_used_at, revoked_at)
  ON personal_access_tokens TO systemprompt_reader;
