-- How people sign in with a browser: passkeys, links that are sent or handed to them, other providers' sign-ins, and the
-- sessions that come of it. Nothing here lets anybody in who has a copy of it: what a browser or a link carries is kept
-- as its SHA-256, of a passkey the public half.

-- What a session is of; there already where the authorization server's own migration ran before this one.
ALTER TABLE user_sessions ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'local'
  CHECK (kind IN ('local', 'browser', 'oauth', 'token', 'service'));

-- A passkey is one user's for good: another user's registration of the same credential is refused.
CREATE TABLE passkeys (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  credential_id bytea NOT NULL UNIQUE CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
  public_key bytea NOT NULL,
  -- Goes up with each use where the authenticator counts at all; one that goes back is a copy.
  counter bigint NOT NULL CHECK (counter >= 0),
  transports text[] NOT NULL DEFAULT '{}',
  device_type text NOT NULL CHECK (device_type IN ('singleDevice', 'multiDevice')),
  backed_up boolean NOT NULL,
  aaguid uuid NOT NULL,
  -- The name of the relying party that it was made for: it works under no other.
  rp_id text NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz
);
CREATE INDEX passkeys_by_user ON passkeys (user_id, created_at);

-- Somebody at another provider, by what never changes there: issuer and subject. Mail addresses do change hands.
CREATE TABLE federated_identities (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  issuer text NOT NULL CHECK (length(issuer) BETWEEN 1 AND 500),
  subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
  provider text NOT NULL CHECK (length(provider) BETWEEN 1 AND 100),
  -- What it was called there when it was linked, for people to tell them apart.
  label text CHECK (length(label) <= 320),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  UNIQUE (issuer, subject)
);
CREATE INDEX federated_identities_by_user ON federated_identities (user_id, created_at);

-- A browser's own session: the row of user_sessions says whose it is, until when, and whether it was ended.
CREATE TABLE browser_sessions (
  session_id uuid PRIMARY KEY REFERENCES user_sessions (id) ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- Of what the cookie carries.
  hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  auth_time timestamptz NOT NULL DEFAULT now(),
  methods text[] NOT NULL CHECK (cardinality(methods) > 0),
  -- What it was begun with: its removal ends the session.
  passkey_id uuid REFERENCES passkeys (id) ON DELETE SET NULL,
  federated_id uuid REFERENCES federated_identities (id) ON DELETE SET NULL
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (user_id);
CREATE INDEX browser_sessions_by_passkey ON browser_sessions (passkey_id) WHERE passkey_id IS NOT NULL;
CREATE INDEX browser_sessions_by_federated ON browser_sessions (federated_id) WHERE federated_id IS NOT NULL;

-- What may be done once, by whom it was begun for, and not for long: the challenge of a passkey, a link, the way to
-- another provider and back.
CREATE TABLE sign_in_steps (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  purpose text NOT NULL CHECK (purpose IN ('passkey_add', 'passkey_sign_in', 'mail_link', 'setup', 'recovery', 'federation')),
  hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  -- Whose it is, where that is known beforehand.
  user_id uuid REFERENCES users (id) ON DELETE CASCADE,
  -- Of what the browser carries that began it; without one any browser may finish it.
  browser bytea CHECK (octet_length(browser) = 32),
  -- The address that a link was sent to, and the provider that the way leads to.
  mail text CHECK (length(mail) <= 254),
  provider text,
  return_to text CHECK (length(return_to) <= 2000),
  created_by uuid REFERENCES users (id) ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  consumed_at timestamptz
);
CREATE INDEX sign_in_steps_by_expiry ON sign_in_steps (expires_at);
CREATE INDEX sign_in_steps_by_user ON sign_in_steps (user_id) WHERE user_id IS NOT NULL;

-- Guesses at the doors, counted for all processes together: by account or by the address they come from, as a hash.
CREATE TABLE sign_in_attempts (
  key bytea PRIMARY KEY CHECK (octet_length(key) = 32),
  count integer NOT NULL,
  ends_at timestamptz NOT NULL
);
CREATE INDEX sign_in_attempts_by_end ON sign_in_attempts (ends_at);

-- Who may do something else from now on signs in again: what a browser carried before is worth nothing then.
CREATE FUNCTION users_end_browser_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE user_sessions SET revoked_at = now()
  WHERE user_id = NEW.id AND kind = 'browser' AND revoked_at IS NULL AND expires_at > now();
  RETURN NULL;
END $$;

CREATE TRIGGER users_end_browser_sessions AFTER UPDATE OF status, roles ON users
  FOR EACH ROW WHEN (OLD.status <> NEW.status OR NOT (OLD.roles <@ NEW.roles AND NEW.roles <@ OLD.roles))
  EXECUTE FUNCTION users_end_browser_sessions();

GRANT SELECT, INSERT, UPDATE, DELETE ON passkeys, federated_identities, browser_sessions, sign_in_steps, sign_in_attempts
  TO systemprompt_app;
-- What people may look at with `infra db query`: everything but the hashes, and who came from where.
GRANT SELECT (id, user_id, transports, device_type, backed_up, aaguid, rp_id, name, counter, created_at, last_used_at)
  ON passkeys TO systemprompt_reader;
GRANT SELECT ON federated_identities TO systemprompt_reader;
GRANT SELECT (session_id, user_id, auth_time, methods, passkey_id, federated_id) ON browser_sessions TO systemprompt_reader;
GRANT SELECT (id, purpose, user_id, provider, created_by, created_at, expires_at, consumed_at)
  ON sign_in_steps TO systemprompt_reader;
GRANT SELECT (count, ends_at) ON sign_in_attempts TO systemprompt_reader;
