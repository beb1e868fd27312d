-- What people may look at with `infra db query`. Inputs were redacted before they were written.
GRANT USAGE ON SCHEMA audit TO systemprompt_reader;
GRANT SELECT ON audit.writers, audit.tool_intents, audit.tool_outcomes TO systemprompt_reader;
