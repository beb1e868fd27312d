-- Forms of tools that no user's list has any more are taken from the record: what one user's server says of itself, and
-- says otherwise each time, must not grow it. What happened to them stays in mcp.tool_events.
CREATE INDEX user_tools_by_server ON mcp.user_tools (server);

CREATE OR REPLACE FUNCTION mcp.tools_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('mcp_tools', CASE WHEN TG_OP = 'DELETE' THEN OLD.server ELSE NEW.server END);
  RETURN NULL;
END $$;
CREATE TRIGGER tools_ended AFTER DELETE ON mcp.tools FOR EACH ROW EXECUTE FUNCTION mcp.tools_changed();

GRANT DELETE ON mcp.tools, mcp.tool_definitions TO systemprompt_app;
