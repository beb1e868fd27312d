-- Keys that sign access tokens. The private half is a JWE under the instance's master key, so that a copy of the
-- database signs nothing; it is dropped when the key stops signing.
CREATE TABLE signing_keys (
  kid text PRIMARY KEY,
  alg text NOT NULL CHECK (alg = 'ES256'),
  status text NOT NULL CHECK (status IN ('next', 'active', 'retired')),
  public_jwk jsonb NOT NULL,
  private_jwe text,
  created_at timestamptz NOT NULL DEFAULT now(),
  activated_at timestamptz,
  retired_at timestamptz,
  CHECK ((status = 'retired') = (private_jwe IS NULL)),
  CHECK ((status = 'retired') = (retired_at IS NOT NULL))
);
-- One key signs, one more is published ahead of its time.
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (status) WHERE status = 'active';
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (status) WHERE status = 'next';

-- A sign-in. Its id stands in every token that came of it and is no credential.
CREATE TABLE user_sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
  client text NOT NULL CHECK (length(client) BETWEEN 1 AND 200),
  user_agent text CHECK (length(user_agent) <= 500),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX user_sessions_by_user ON user_sessions (user_id, created_at DESC);
-- What a verifier loads: sessions whose tokens must be refused though they have not expired.
CREATE INDEX user_sessions_revoked ON user_sessions (expires_at) WHERE revoked_at IS NOT NULL;

-- Verifiers in other processes hear of a revocation and of new keys at commit.
CREATE FUNCTION user_sessions_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('auth', json_build_object(
    'type', 'revoked', 'session', NEW.id, 'until', ceil(extract(epoch FROM NEW.expires_at))::bigint)::text);
  RETURN NULL;
END $$;

CREATE TRIGGER user_sessions_announce AFTER UPDATE OF revoked_at ON user_sessions
  FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION user_sessions_announce();

CREATE FUNCTION signing_keys_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('auth', json_build_object('type', 'keys')::text);
  RETURN NULL;
END $$;

CREATE TRIGGER signing_keys_announce AFTER INSERT OR UPDATE OR DELETE ON signing_keys
  FOR EACH STATEMENT EXECUTE FUNCTION signing_keys_announce();

-- Who is suspended, or loses a role, loses the tokens that were issued before.
CREATE FUNCTION users_revoke_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE user_sessions SET revoked_at = now() WHERE user_id = NEW.id AND revoked_at IS NULL AND expires_at > now();
  RETURN NULL;
END $$;

CREATE TRIGGER users_revoke_sessions AFTER UPDATE OF status, roles ON users
  FOR EACH ROW WHEN (NEW.status <> 'active' OR NOT (OLD.roles <@ NEW.roles)) EXECUTE FUNCTION users_revoke_sessions();

GRANT SELECT, INSERT, UPDATE, DELETE ON signing_keys TO systemprompt_app;
GRANT SELECT, INSERT, UPDATE ON user_sessions TO systemprompt_app;
