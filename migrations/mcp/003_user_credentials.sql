-- What users bring for single MCP servers: a key for a server elsewhere, variables for a process of their own. Each value is
-- sealed under the instance's master key, together with whose it is and for which server: a row that is moved opens nothing.
CREATE TABLE mcp.user_credentials (
  user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  server     text NOT NULL CHECK (length(server) <= 200),
  -- Of the secret that upstream_auth names, or of the variable.
  name       text NOT NULL CHECK (length(name) <= 200),
  sealed     text NOT NULL CHECK (length(sealed) <= 100000),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, server, name)
);

-- API processes keep what they opened in memory, and drop it on this notice; the payload is the server and the user.
CREATE FUNCTION mcp.credentials_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed mcp.user_credentials := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
  PERFORM pg_notify('mcp_credentials', changed.server || ' ' || changed.user_id);
  RETURN NULL;
END $$;
CREATE TRIGGER credentials_changed AFTER INSERT OR UPDATE OR DELETE ON mcp.user_credentials
  FOR EACH ROW EXECUTE FUNCTION mcp.credentials_changed();

ALTER TABLE mcp.user_credentials ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mcp.user_credentials TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text));
CREATE POLICY reader ON mcp.user_credentials FOR SELECT TO systemprompt_reader USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON mcp.user_credentials TO systemprompt_app;
-- What people may look at with `infra db query`: that something is there, and since when.
GRANT SELECT (user_id, server, name, updated_at) ON mcp.user_credentials TO systemprompt_reader;
