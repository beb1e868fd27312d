-- Tools of servers that show each user a list of their own (an instance for each user, credentials of each user). A form of a
-- tool is known, held and approved once, whoever lists it; which forms a user's list has is the user's own.

-- One row a tool, as before, where all callers have one list (form: empty); one row a form of it where users have their own.
ALTER TABLE mcp.tools ADD COLUMN form text NOT NULL DEFAULT '' CHECK (form IN ('', digest));
ALTER TABLE mcp.tools DROP CONSTRAINT tools_pkey;
ALTER TABLE mcp.tools ADD PRIMARY KEY (server, name, form);

-- What a user's own list had last: digests by name.
CREATE TABLE mcp.user_tools (
  user_id   uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  server    text NOT NULL CHECK (length(server) <= 200),
  tools     jsonb NOT NULL CHECK (jsonb_typeof(tools) = 'object'),
  -- The run of the server that was asked; null: learnt from a list that passed.
  instance_id uuid,
  listed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, server)
);

-- API processes keep lists that they need in memory, and read one anew on this notice; the payload is the server and the user.
CREATE FUNCTION mcp.user_tools_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed mcp.user_tools := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
  PERFORM pg_notify('mcp_user_tools', changed.server || ' ' || changed.user_id);
  RETURN NULL;
END $$;
CREATE TRIGGER user_tools_changed AFTER INSERT OR UPDATE OR DELETE ON mcp.user_tools
  FOR EACH ROW EXECUTE FUNCTION mcp.user_tools_changed();

ALTER TABLE mcp.user_tools ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mcp.user_tools TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text));
CREATE POLICY reader ON mcp.user_tools FOR SELECT TO systemprompt_reader USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON mcp.user_tools TO systemprompt_app;
-- What people may look at with `infra db query`: when a user's list was seen, not what is in it.
GRANT SELECT (user_id, server, instance_id, listed_at) ON mcp.user_tools TO systemprompt_reader;
