-- A key signs the tokens of one resource (its audience), or of all those that have none of their own. So a resource's
-- key is rotated and revoked without touching any other's.
ALTER TABLE signing_keys ADD COLUMN resource text CHECK (length(resource) BETWEEN 1 AND 2000);
DROP INDEX signing_keys_one_active;
DROP INDEX signing_keys_one_next;
-- One key signs for each, one more is published ahead of its time.
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (resource) NULLS NOT DISTINCT WHERE status = 'active';
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (resource) NULLS NOT DISTINCT WHERE status = 'next';

-- Single tokens that are refused though their session goes on, until they would have expired by themselves.
CREATE TABLE revoked_tokens (
  jti text PRIMARY KEY CHECK (length(jti) BETWEEN 1 AND 200),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (expires_at);

CREATE FUNCTION revoked_tokens_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('auth', json_build_object('type', 'token')::text);
  RETURN NULL;
END $$;

CREATE TRIGGER revoked_tokens_announce AFTER INSERT ON revoked_tokens
  FOR EACH STATEMENT EXECUTE FUNCTION revoked_tokens_announce();

-- Proofs of possession (RFC 9449) that were seen, so that none counts twice, whichever API process it is shown to.
CREATE TABLE dpop_proofs (
  -- SHA-256 of the key's thumbprint and the proof's jti.
  proof bytea PRIMARY KEY CHECK (octet_length(proof) = 32),
  expires_at timestamptz NOT NULL
);
CREATE INDEX dpop_proofs_by_end ON dpop_proofs (expires_at);

GRANT SELECT, INSERT, DELETE ON revoked_tokens, dpop_proofs TO systemprompt_app;
GRANT SELECT (resource) ON signing_keys TO systemprompt_reader;
GRANT SELECT ON revoked_tokens TO systemprompt_reader;
