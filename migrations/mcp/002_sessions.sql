-- The sessions that clients have with MCP servers: whose, with which run of which server, and when they were last used.
-- They let nobody in: what a client shows is checked by its signature, and every request brings a token. API processes keep
-- the sessions in memory that they serve and write here now and then.
CREATE TABLE mcp.sessions (
  -- Made of user, server, run and the server's own id, so that every API process finds the same.
  id               uuid PRIMARY KEY,
  server           text NOT NULL CHECK (length(server) <= 200),
  -- The run of the server that has the session in its memory.
  instance_id      uuid NOT NULL,
  -- The server's own id of it, by which it is told of the end.
  upstream_id      text NOT NULL CHECK (length(upstream_id) <= 1000),
  user_id          uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- The sign-in and the client whose token began it.
  sign_in_id       uuid NOT NULL,
  client           text NOT NULL CHECK (length(client) <= 2000),
  transport        text NOT NULL CHECK (transport IN ('streamable-http', 'sse')),
  protocol_version text CHECK (length(protocol_version) <= 40),
  client_name      text CHECK (length(client_name) <= 200),
  client_version   text CHECK (length(client_version) <= 200),
  created_at       timestamptz NOT NULL DEFAULT now(),
  -- Of a request or an open stream; written every 30 s at most.
  active_at        timestamptz NOT NULL DEFAULT now(),
  ended_at         timestamptz,
  end_reason       text CHECK (end_reason IN ('closed', 'idle', 'ended', 'lost', 'restarted')),
  -- Whether the server knows of the end, or has no memory of the session.
  settled          boolean NOT NULL DEFAULT false,
  CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX sessions_open ON mcp.sessions (active_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_ended ON mcp.sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_user ON mcp.sessions (user_id);

-- Every API process hears of a session that was ended; the payload is its id.
CREATE FUNCTION mcp.session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('mcp_sessions', NEW.id::text);
  RETURN NULL;
END $$;
CREATE TRIGGER session_ended AFTER UPDATE OF ended_at ON mcp.sessions
  FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION mcp.session_ended();

ALTER TABLE mcp.sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mcp.sessions TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text));
CREATE POLICY reader ON mcp.sessions FOR SELECT TO systemprompt_reader USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON mcp.sessions TO systemprompt_app;
-- What people may look at with `infra db query`: all but the ids that servers gave.
GRANT SELECT (id, server, instance_id, user_id, sign_in_id, client, transport, protocol_version, client_name, client_version,
  created_at, active_at, ended_at, end_reason, settled) ON mcp.sessions TO systemprompt_reader;
