-- What is known of the MCP servers. The catalogue of their tools: each tool as its server lists it, and which form of it
-- may be called. Callers are not in it; who did what is told by id, and outlives the account.
CREATE SCHEMA mcp;
REVOKE ALL ON SCHEMA mcp FROM PUBLIC;
GRANT USAGE ON SCHEMA mcp TO systemprompt_app, systemprompt_reader;

-- Every form that a tool ever had: added, never changed. Digest: SHA-256, hex, of the canonical JSON (RFC 8785) of name,
-- title, description, input and output schema and annotations.
CREATE TABLE mcp.tool_definitions (
  server     text NOT NULL CHECK (length(server) <= 200),
  name       text NOT NULL CHECK (length(name) <= 1000),
  digest     text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
  -- What the scan for injected instructions says of it: rule, place and the words that it goes by.
  findings   jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(findings) = 'array'),
  -- The rules by which it was scanned: newer ones look again.
  scanned_by integer NOT NULL,
  seen_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (server, name, digest)
);

CREATE TABLE mcp.tools (
  server          text NOT NULL,
  name            text NOT NULL,
  -- The form that the server lists; what it listed last when the tool is gone.
  digest          text NOT NULL,
  definition      jsonb NOT NULL,
  -- approved: may be called in this form; held: may not; gone: the server lists it no more.
  state           text NOT NULL CHECK (state IN ('approved', 'held', 'gone')),
  -- Why it is held.
  reason          text CHECK (reason IN ('new', 'changed', 'finding', 'invalid')),
  -- The form that was approved last, which is what a change is shown against.
  approved_digest text,
  approved_at     timestamptz,
  approved_by     uuid,                       -- null: by the server's policy
  first_seen      timestamptz NOT NULL DEFAULT now(),
  last_seen       timestamptz NOT NULL DEFAULT now(),
  changed_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (server, name),
  FOREIGN KEY (server, name, digest) REFERENCES mcp.tool_definitions (server, name, digest),
  FOREIGN KEY (server, name, approved_digest) REFERENCES mcp.tool_definitions (server, name, digest),
  CHECK (state <> 'approved' OR approved_digest = digest),
  CHECK ((state = 'held') = (reason IS NOT NULL))
);

-- What happened to the tools, in order of `id`.
CREATE TABLE mcp.tool_events (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  server   text NOT NULL,
  name     text NOT NULL,
  type     text NOT NULL CHECK (type IN ('added', 'changed', 'returned', 'gone', 'approved', 'scanned')),
  before   text,                              -- digests
  after    text,
  state    text NOT NULL CHECK (state IN ('approved', 'held', 'gone')),
  findings integer NOT NULL DEFAULT 0,
  actor_id uuid                               -- null: by the server's policy
);
CREATE INDEX tool_events_by_tool ON mcp.tool_events (server, name, id DESC);

-- The last time that each server was asked for its tools.
CREATE TABLE mcp.tool_lists (
  server      text PRIMARY KEY CHECK (length(server) <= 200),
  instance_id uuid,                           -- the run that was asked; null: learnt from a list that passed
  tools       integer NOT NULL CHECK (tools >= 0),
  error       text CHECK (length(error) <= 2000),  -- why there is no list, or none that is whole
  listed_at   timestamptz NOT NULL DEFAULT now()
);

-- What is added is never changed.
CREATE FUNCTION mcp.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION '% on %.% is refused: the history of tools is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON mcp.tool_events
  FOR EACH STATEMENT EXECUTE FUNCTION mcp.refuse_change();
ALTER TABLE mcp.tool_events ENABLE ALWAYS TRIGGER append_only;

-- Every API process keeps the tools in memory and reads those of a server again on this notice; the payload is the server.
-- Within one transaction PostgreSQL sends the same notice once.
CREATE FUNCTION mcp.tools_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('mcp_tools', NEW.server);
  RETURN NULL;
END $$;
CREATE TRIGGER tools_changed AFTER INSERT OR UPDATE ON mcp.tools FOR EACH ROW EXECUTE FUNCTION mcp.tools_changed();
CREATE TRIGGER tools_changed AFTER INSERT OR UPDATE ON mcp.tool_lists FOR EACH ROW EXECUTE FUNCTION mcp.tools_changed();

GRANT SELECT, INSERT, UPDATE ON mcp.tools, mcp.tool_lists TO systemprompt_app;
GRANT SELECT, INSERT ON mcp.tool_definitions TO systemprompt_app;
GRANT UPDATE (findings, scanned_by) ON mcp.tool_definitions TO systemprompt_app;
GRANT SELECT ON mcp.tool_events TO systemprompt_app;
-- Number and time are the database's own.
GRANT INSERT (server, name, type, before, after, state, findings, actor_id) ON mcp.tool_events TO systemprompt_app;

-- What people may look at with `infra db query`: all of it, for it holds nothing but what servers say of themselves.
GRANT SELECT ON mcp.tools, mcp.tool_definitions, mcp.tool_events, mcp.tool_lists TO systemprompt_reader;
