-- What people may look at with `infra db query`: all of it but the sealed half of a key.
GRANT SELECT (kid, alg, status, public_jwk, created_at, activated_at, retired_at) ON signing_keys TO systemprompt_reader;
GRANT SELECT ON user_sessions TO systemprompt_reader;
