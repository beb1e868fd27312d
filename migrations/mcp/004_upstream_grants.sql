-- The sign-ins that users, or the instance for all of them, have at servers elsewhere (upstream_auth of type oauth). Tokens are
-- sealed under the instance's master key, together with whose they are, for which server, from which authorization server and
-- for which resource: a row that is moved or changed opens nothing.
CREATE TABLE mcp.upstream_grants (
  id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  server         text NOT NULL CHECK (length(server) <= 200),
  user_id        uuid REFERENCES users (id) ON DELETE CASCADE,   -- null: of all callers
  issuer         text NOT NULL CHECK (length(issuer) <= 2000),
  resource       text NOT NULL CHECK (length(resource) <= 2000),
  client_id      text NOT NULL CHECK (length(client_id) <= 2000),
  scopes         text[] NOT NULL,
  -- That the server asked for since, and the token does not have.
  wanted         text[] NOT NULL DEFAULT '{}',
  sealed         text NOT NULL CHECK (length(sealed) <= 100000),
  -- Whether there is a refresh token.
  refreshable    boolean NOT NULL,
  issued_at      timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz,
  -- refused: nothing of it is taken any more, whoever it belongs to signs in anew.
  state          text NOT NULL DEFAULT 'good' CHECK (state IN ('good', 'refused')),
  -- Counts changes: who renews it has seen the last one.
  revision       integer NOT NULL DEFAULT 0,
  -- One process renews it; whoever finds this in the future waits.
  renewing_until timestamptz,
  -- When the server last refused a token that should have been good.
  refused_at     timestamptz,
  connected_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE NULLS NOT DISTINCT (server, user_id)
);

-- The same notice as of what users bring: who has opened it in memory drops it.
CREATE FUNCTION mcp.grants_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed mcp.upstream_grants := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
  PERFORM pg_notify('mcp_credentials', changed.server || ' ' || coalesce(changed.user_id::text, ''));
  RETURN NULL;
END $$;
CREATE TRIGGER grants_changed AFTER INSERT OR DELETE OR UPDATE OF sealed, state, expires_at ON mcp.upstream_grants
  FOR EACH ROW EXECUTE FUNCTION mcp.grants_changed();

ALTER TABLE mcp.upstream_grants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mcp.upstream_grants TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text));
CREATE POLICY reader ON mcp.upstream_grants FOR SELECT TO systemprompt_reader USING (true);

-- What the instance is registered as at authorization servers elsewhere (RFC 7591), for each server of the fleet.
CREATE TABLE mcp.upstream_clients (
  server       text NOT NULL CHECK (length(server) <= 200),
  issuer       text NOT NULL CHECK (length(issuer) <= 2000),
  client_id    text NOT NULL CHECK (length(client_id) <= 2000),
  redirect_uri text NOT NULL CHECK (length(redirect_uri) <= 2000),
  auth_method  text NOT NULL CHECK (auth_method IN ('client_secret_basic', 'client_secret_post', 'none')),
  -- The secret, sealed; null where there is none.
  sealed       text CHECK (length(sealed) <= 100000),
  expires_at   timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (server, issuer)
);

-- A sign-in on its way: bound to the browser that began it, to its user, and to who was asked; taken once.
CREATE TABLE mcp.upstream_attempts (
  hash       bytea PRIMARY KEY,               -- SHA-256 of the state
  browser    bytea NOT NULL,                  -- SHA-256 of what the browser carries
  user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  server     text NOT NULL CHECK (length(server) <= 200),
  shared     boolean NOT NULL,
  issuer     text NOT NULL CHECK (length(issuer) <= 2000),
  resource   text NOT NULL CHECK (length(resource) <= 2000),
  client_id  text NOT NULL CHECK (length(client_id) <= 2000),
  scopes     text[] NOT NULL,
  expires_at timestamptz NOT NULL
);
ALTER TABLE mcp.upstream_attempts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mcp.upstream_attempts TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text));
CREATE POLICY reader ON mcp.upstream_attempts FOR SELECT TO systemprompt_reader USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON mcp.upstream_grants, mcp.upstream_clients, mcp.upstream_attempts TO systemprompt_app;
-- What people may look at with `infra db query`: all but what is sealed, and the hashes of attempts.
GRANT SELECT (id, server, user_id, issuer, resource, client_id, scopes, wanted, refreshable, issued_at, expires_at, state,
  revision, renewing_until, refused_at, connected_at) ON mcp.upstream_grants TO systemprompt_reader;
GRANT SELECT (server, issuer, client_id, redirect_uri, auth_method, expires_at, created_at) ON mcp.upstream_clients
  TO systemprompt_reader;
GRANT SELECT (user_id, server, shared, issuer, resource, client_id, scopes, expires_at) ON mcp.upstream_attempts
  TO systemprompt_reader;
