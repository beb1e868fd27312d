-- Lines of the logs of MCP servers: what a server's logger writes, and the standard error of bridged programs, redacted as
-- they are in the files. Written in batches behind the calls; a copy for as long as it is wanted, and no evidence.

CREATE TABLE mcp.server_logs (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  server       text NOT NULL CHECK (length(server) <= 200),
  -- The run of the server.
  instance_id  uuid NOT NULL,
  at           timestamptz NOT NULL,
  level        text CHECK (length(level) <= 20),
  -- Of the call in whose course it was written, as far as that is known.
  execution_id uuid,
  trace_id     text CHECK (length(trace_id) <= 64),
  user_id      uuid REFERENCES users (id) ON DELETE CASCADE,
  line         text NOT NULL CHECK (length(line) <= 8000),
  -- The same line of the same time is one: it may be read twice.
  digest       bytea NOT NULL,
  UNIQUE (instance_id, at, digest)
);
CREATE INDEX server_logs_server ON mcp.server_logs (server, id);
CREATE INDEX server_logs_at ON mcp.server_logs (at, id);
CREATE INDEX server_logs_user ON mcp.server_logs (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX server_logs_trace ON mcp.server_logs (trace_id text_pattern_ops) WHERE trace_id IS NOT NULL;

ALTER TABLE mcp.server_logs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mcp.server_logs TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text));
CREATE POLICY reader ON mcp.server_logs FOR SELECT TO systemprompt_reader USING (true);

GRANT SELECT, INSERT, DELETE ON mcp.server_logs TO systemprompt_app;
-- What people may look at with `infra db query`: when and of whom there are lines; the lines are for `infra logs`.
GRANT SELECT (id, server, instance_id, at, level, execution_id, trace_id, user_id) ON mcp.server_logs TO systemprompt_reader;
