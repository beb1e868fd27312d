-- Who may ask for tokens. Documents that clients publish of themselves (CIMD) are no rows: they are fetched.
CREATE TABLE oauth_clients (
  id text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 200),
  kind text NOT NULL CHECK (kind IN ('builtin', 'registered', 'dynamic', 'service')),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  -- Names of RFC 7591, without a secret.
  metadata jsonb NOT NULL CHECK (jsonb_typeof(metadata) = 'object' AND NOT metadata ? 'client_secret'),
  -- The service account that the client is.
  user_id uuid REFERENCES users (id) ON DELETE RESTRICT,
  -- The session that stands in the service account's tokens.
  session_id uuid REFERENCES user_sessions (id) ON DELETE RESTRICT,
  -- The resource server that the client is: it may introspect, and exchange, tokens for that server alone.
  server text CHECK (length(server) BETWEEN 1 AND 200),
  -- The servers that it may get tokens for by itself: of its own account, or in exchange for its callers'.
  targets text[] NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  -- The address that registered it.
  registered_from text CHECK (length(registered_from) <= 100),
  CHECK ((kind = 'service') = (user_id IS NOT NULL)),
  CHECK (session_id IS NULL OR kind = 'service')
);
CREATE INDEX oauth_clients_dynamic ON oauth_clients (created_at) WHERE kind = 'dynamic';
CREATE UNIQUE INDEX oauth_clients_by_user ON oauth_clients (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX user_sessions_by_client ON user_sessions (client);

-- At most two of a client are live, so that one can be replaced while the other works. A copy of the database holds none.
CREATE TABLE oauth_client_secrets (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id text NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
  hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX oauth_client_secrets_by_client ON oauth_client_secrets (client_id);

-- Every process remembers clients: it hears at commit which one to forget. That one was used is no change.
CREATE FUNCTION oauth_clients_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('clients', coalesce(NEW.id, OLD.id));
  RETURN NULL;
END $$;

CREATE TRIGGER oauth_clients_announce
  AFTER UPDATE OF kind, name, metadata, user_id, session_id, server, targets, status OR DELETE ON oauth_clients
  FOR EACH ROW EXECUTE FUNCTION oauth_clients_announce();

CREATE FUNCTION oauth_client_secrets_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('clients', coalesce(NEW.client_id, OLD.client_id));
  RETURN NULL;
END $$;

CREATE TRIGGER oauth_client_secrets_announce AFTER INSERT OR UPDATE OR DELETE ON oauth_client_secrets
  FOR EACH ROW EXECUTE FUNCTION oauth_client_secrets_announce();

-- Who is no client any more, or not for now, loses the tokens that it got.
CREATE FUNCTION oauth_clients_end_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE user_sessions SET revoked_at = now() WHERE client = OLD.id AND revoked_at IS NULL AND expires_at > now();
  RETURN NULL;
END $$;

CREATE TRIGGER oauth_clients_removed AFTER DELETE ON oauth_clients
  FOR EACH ROW EXECUTE FUNCTION oauth_clients_end_sessions();
CREATE TRIGGER oauth_clients_disabled AFTER UPDATE OF status ON oauth_clients
  FOR EACH ROW WHEN (NEW.status <> 'active' AND OLD.status = 'active') EXECUTE FUNCTION oauth_clients_end_sessions();

-- Our own command line, on whatever machine it runs: nothing that is installed everywhere keeps a secret.
INSERT INTO oauth_clients (id, kind, name, metadata) VALUES ('systemprompt-cli', 'builtin', 'systemprompt CLI', '{
  "client_name": "systemprompt CLI",
  "application_type": "native",
  "redirect_uris": ["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"],
  "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
  "response_types": ["code"],
  "token_endpoint_auth_method": "none"
}');

GRANT SELECT, INSERT, UPDATE, DELETE ON oauth_clients, oauth_client_secrets TO systemprompt_app;
-- What people may look at with `infra db query`: no hash of a secret.
GRANT SELECT ON oauth_clients TO systemprompt_reader;
GRANT SELECT (id, client_id, created_at, expires_at, revoked_at) ON oauth_client_secrets TO systemprompt_reader;
