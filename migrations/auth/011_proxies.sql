-- A proxy that knows who calls has a session for each of its users, so that its calls can be told from others and ended.
ALTER TABLE user_sessions
  DROP CONSTRAINT user_sessions_kind_check,
  ADD CONSTRAINT user_sessions_kind_check CHECK (kind IN ('local', 'browser', 'oauth', 'token', 'service', 'proxy'));

-- What may be used once and was: proofs of possession by key and jti, signatures of proxies by key and nonce.
COMMENT ON TABLE dpop_proofs IS 'Proofs of possession and signatures of proxies that were seen';
