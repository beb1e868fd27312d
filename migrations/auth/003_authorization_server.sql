-- A sign-in may be the local owner's, a browser's, one that a client was granted by the authorization server, a personal
-- access token's or a service account's. All of them end in the same way.
ALTER TABLE user_sessions
  ADD COLUMN kind text NOT NULL DEFAULT 'local'
    CONSTRAINT user_sessions_kind_check CHECK (kind IN ('local', 'browser', 'oauth', 'token', 'service')),
  -- SHA-256 of the id of the grant that the client's tokens come of: one grant, one session.
  ADD COLUMN grant_hash bytea UNIQUE CHECK (octet_length(grant_hash) = 32),
  ADD CONSTRAINT user_sessions_grant_check CHECK ((kind = 'oauth') = (grant_hash IS NOT NULL)),
  -- The id of a client may be the address of a document.
  DROP CONSTRAINT user_sessions_client_check,
  ADD CONSTRAINT user_sessions_client_check CHECK (length(client) BETWEEN 1 AND 2048);

-- What the authorization server keeps between two requests. Nobody can use a copy of it: ids are hashes of what clients and
-- browsers carry, and everything else is encrypted under a key of the instance.
CREATE TABLE oauth_payloads (
  model text NOT NULL CHECK (length(model) BETWEEN 1 AND 50),
  id_hash bytea NOT NULL CHECK (octet_length(id_hash) = 32),
  grant_hash bytea CHECK (octet_length(grant_hash) = 32),
  uid_hash bytea CHECK (octet_length(uid_hash) = 32),
  user_code_hash bytea CHECK (octet_length(user_code_hash) = 32),
  user_id uuid REFERENCES users (id) ON DELETE CASCADE,
  client text CHECK (length(client) <= 2048),
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  -- What works once was used.
  consumed_at timestamptz,
  PRIMARY KEY (model, id_hash)
);
CREATE INDEX oauth_payloads_by_grant ON oauth_payloads (grant_hash) WHERE grant_hash IS NOT NULL;
CREATE INDEX oauth_payloads_by_expiry ON oauth_payloads (expires_at);
CREATE INDEX oauth_payloads_by_user ON oauth_payloads (user_id, client) WHERE model = 'Grant';
CREATE UNIQUE INDEX oauth_payloads_by_uid ON oauth_payloads (model, uid_hash) WHERE uid_hash IS NOT NULL;
CREATE UNIQUE INDEX oauth_payloads_by_user_code ON oauth_payloads (model, user_code_hash) WHERE user_code_hash IS NOT NULL;

-- The answers to refreshes of the last seconds: the same request again gets the same answer. Encrypted under the refresh
-- token that was used up and a key of the instance.
CREATE TABLE refresh_windows (
  token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  grant_hash bytea NOT NULL CHECK (octet_length(grant_hash) = 32),
  sealed bytea NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX refresh_windows_by_grant ON refresh_windows (grant_hash);
CREATE INDEX refresh_windows_by_expiry ON refresh_windows (expires_at);

-- A session that was ended is remembered as long as a token of it could live, which is a day at most: a grant may have
-- been good for months.
CREATE FUNCTION user_sessions_shorten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.expires_at := least(NEW.expires_at, now() + interval '25 hours');
  RETURN NEW;
END $$;

CREATE TRIGGER user_sessions_shorten BEFORE UPDATE OF revoked_at ON user_sessions
  FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION user_sessions_shorten();

-- With the session goes everything that came of its grant, whoever ended it.
CREATE FUNCTION user_sessions_end_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM oauth_payloads WHERE grant_hash = NEW.grant_hash;
  DELETE FROM refresh_windows WHERE grant_hash = NEW.grant_hash;
  RETURN NULL;
END $$;

CREATE TRIGGER user_sessions_end_grant AFTER UPDATE OF revoked_at ON user_sessions
  FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND NEW.grant_hash IS NOT NULL)
  EXECUTE FUNCTION user_sessions_end_grant();

GRANT SELECT, INSERT, UPDATE, DELETE ON oauth_payloads, refresh_windows TO systemprompt_app;
-- What people may look at with `infra db query`: who has what and until when, and nothing that could be used.
REVOKE SELECT ON user_sessions FROM systemprompt_reader;
GRANT SELECT (id, user_id, client, kind, user_agent, created_at, last_seen_at, expires_at, revoked_at)
  ON user_sessions TO systemprompt_reader;
GRANT SELECT (model, user_id, client, created_at, expires_at, consumed_at) ON oauth_payloads TO systemprompt_reader;
