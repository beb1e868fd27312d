-- What people may look at with `infra db query`: how long what was used once is remembered, and nothing of it.
GRANT SELECT (expires_at) ON refresh_windows, dpop_proofs TO systemprompt_reader;
