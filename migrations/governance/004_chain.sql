-- The audit as evidence: committed rows are bound into a chain of segments by one process, the sealer, and its head is signed.
--
-- Which rows are new is told by the transaction that wrote them, since rows are not committed in the order of their ids: a
-- row's position is the number of its transaction, and a segment ends at a snapshot: new is what that snapshot sees and
-- the one before did not (docs/adr/0029-audit-chain.md).

-- Numbers of transactions begin anew on another server; positions go on: what is added to them there.
CREATE TABLE audit.servers (
  number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  identifier text NOT NULL,                     -- of the server, as pg_control_system() says it
  base       bigint NOT NULL,
  since      timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION audit.next_position() RETURNS bigint LANGUAGE sql STABLE
  RETURN pg_catalog.pg_current_xact_id()::text::bigint + 0;

ALTER TABLE audit.tool_intents ADD COLUMN position bigint NOT NULL DEFAULT audit.next_position();
ALTER TABLE audit.tool_outcomes ADD COLUMN position bigint NOT NULL DEFAULT audit.next_position();
ALTER TABLE identity_events ADD COLUMN position bigint NOT NULL DEFAULT audit.next_position();
CREATE INDEX tool_intents_position ON audit.tool_intents (position, execution_id);
CREATE INDEX tool_outcomes_position ON audit.tool_outcomes (position, execution_id);
CREATE INDEX identity_events_position ON identity_events (position, id);
-- "Every request that reached this server", the newest first.
CREATE INDEX tool_intents_server ON audit.tool_intents (server, execution_id);

CREATE TABLE audit.segments (
  number         bigint PRIMARY KEY CHECK (number > 0),
  source         text NOT NULL CHECK (source IN ('intent', 'outcome', 'identity', 'key', 'retention')),
  version        smallint NOT NULL,             -- of the canonical form of its rows
  until_end      bigint NOT NULL,               -- the snapshot that it ends with: every position below this one…
  until_open     bigint[] NOT NULL,             -- …but these, whose transactions were still open
  upto_position  bigint,                        -- the last row, when the snapshot has more of them
  upto_key       text,
  leaves         integer NOT NULL CHECK (leaves >= 0),
  leaf_keys      bytea NOT NULL,                -- 16 bytes a row: its execution id, or its number
  leaf_digests   bytea NOT NULL,                -- 32 bytes a row: SHA-256 of its canonical form
  note           text,                          -- JSON of a key or of a retention
  previous_hash  bytea NOT NULL,
  hash           bytea NOT NULL,
  sealed_at      timestamptz(3) NOT NULL
);
CREATE INDEX segments_source ON audit.segments (source, number);
CREATE INDEX segments_sealed_at ON audit.segments (sealed_at);

CREATE TABLE audit.checkpoints (
  number    bigint PRIMARY KEY CHECK (number > 0),
  segment   bigint NOT NULL UNIQUE,             -- no foreign key: its check would want the right to lock segments
  hash      bytea NOT NULL,                     -- of that segment
  leaves    bigint NOT NULL,                    -- of all segments up to it
  key_id    text NOT NULL,
  signed_at timestamptz(3) NOT NULL,
  signature bytea NOT NULL                      -- Ed25519
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.segments
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.segments ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE audit.checkpoints ENABLE ALWAYS TRIGGER append_only;

-- Makes sure that positions go on where they were, after the database came to another server (a backup that was restored,
-- an upgrade by dump). Called before anybody writes. Returns what is added to the numbers of this server's transactions.
CREATE FUNCTION audit.adopt_server() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  here text := (SELECT c.system_identifier::text FROM pg_control_system() c);
  known audit.servers%ROWTYPE;
  highest bigint;
  expected text;
BEGIN
  SELECT * INTO known FROM audit.servers s ORDER BY s.number DESC LIMIT 1;
  IF known.identifier IS DISTINCT FROM here THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('systemprompt.audit.adopt', 0));
    SELECT * INTO known FROM audit.servers s ORDER BY s.number DESC LIMIT 1;
  END IF;
  IF known.identifier IS DISTINCT FROM here THEN
    SELECT max(m.p) INTO highest FROM (
      SELECT max(position) AS p FROM audit.tool_intents UNION ALL SELECT max(position) FROM audit.tool_outcomes
      UNION ALL SELECT max(position) FROM public.identity_events UNION ALL SELECT max(until_end) FROM audit.segments) m;
    known.base := greatest(0, coalesce(highest, 0) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint);
    -- On its first server nothing is added: positions are already there, and they are its own.
    IF known.number IS NULL THEN known.base := 0; END IF;
    INSERT INTO audit.servers (identifier, base) VALUES (here, known.base);
  END IF;
  expected := format('RETURN pg_catalog.pg_current_xact_id()::text::bigint + %s', known.base);
  IF audit.next_position() <> pg_current_xact_id()::text::bigint + known.base THEN
    EXECUTE 'CREATE OR REPLACE FUNCTION audit.next_position() RETURNS bigint LANGUAGE sql STABLE ' || expected;
  END IF;
  RETURN known.base;
END
$$;
SELECT audit.adopt_server();

-- Rows are deleted by whole segments, at the end of their retention, and only after the chain says so.
CREATE OR REPLACE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  -- What is deleted then is looked at afterwards, by audit.only_pruned.
  IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('tool_intents', 'tool_outcomes', 'identity_events')
    AND current_setting('systemprompt.audit_prune', true) = 'yes' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION '% on %.% is refused: the audit is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION audit.only_pruned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  through bigint := (SELECT (s.note::json ->> 'through')::bigint FROM audit.segments s WHERE s.source = 'retention'
                     ORDER BY s.number DESC LIMIT 1);
  last audit.segments%ROWTYPE;
BEGIN
  SELECT * INTO last FROM audit.segments s WHERE s.source = TG_ARGV[0] AND s.number <= through ORDER BY s.number DESC LIMIT 1;
  IF EXISTS (SELECT FROM gone g WHERE last.number IS NULL OR g.position >= last.until_end
               OR g.position = ANY (last.until_open)) THEN
    RAISE EXCEPTION 'DELETE on %.% is refused: the audit is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER only_pruned AFTER DELETE ON audit.tool_intents REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION audit.only_pruned('intent');
CREATE TRIGGER only_pruned AFTER DELETE ON audit.tool_outcomes REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION audit.only_pruned('outcome');
CREATE TRIGGER only_pruned AFTER DELETE ON identity_events REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION audit.only_pruned('identity');
ALTER TABLE audit.tool_intents ENABLE ALWAYS TRIGGER only_pruned;
ALTER TABLE audit.tool_outcomes ENABLE ALWAYS TRIGGER only_pruned;
ALTER TABLE identity_events ENABLE ALWAYS TRIGGER only_pruned;
DROP TRIGGER append_only ON identity_events;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON identity_events
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE identity_events ENABLE ALWAYS TRIGGER append_only;
DROP FUNCTION identity_events_refuse_change();

-- Deletes the rows of every segment up to the one that the last entry of a retention names, and puts on record that it did.
-- Leaf digests, segments and checkpoints stay. Returns how many rows there were.
CREATE FUNCTION audit.prune() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  note json := (SELECT s.note::json FROM audit.segments s WHERE s.source = 'retention' ORDER BY s.number DESC LIMIT 1);
  through bigint := (note ->> 'through')::bigint;
  last record;
  part bigint;
  total bigint := 0;
BEGIN
  PERFORM set_config('systemprompt.audit_prune', 'yes', true);
  FOR last IN
    SELECT DISTINCT ON (s.source) s.* FROM audit.segments s
    WHERE s.source IN ('intent', 'outcome', 'identity') AND s.number <= through ORDER BY s.source, s.number DESC
  LOOP
    IF last.upto_position IS NOT NULL THEN
      RAISE EXCEPTION 'Segment % ends within a snapshot: nothing is deleted up to it', last.number;
    END IF;
    EXECUTE format('DELETE FROM %s t WHERE t.position < $1 AND t.position <> ALL ($2)',
      CASE last.source WHEN 'intent' THEN 'audit.tool_intents' WHEN 'outcome' THEN 'audit.tool_outcomes'
        ELSE 'public.identity_events' END)
      USING last.until_end, last.until_open;
    GET DIAGNOSTICS part = ROW_COUNT;
    total := total + part;
  END LOOP;
  PERFORM set_config('systemprompt.audit_prune', '', true);
  INSERT INTO public.identity_events (type, data)
    VALUES ('audit_pruned', jsonb_build_object('rows', total, 'through', through, 'before', note ->> 'before'));
  RETURN total;
END
$$;

REVOKE ALL ON audit.servers, audit.segments, audit.checkpoints
  FROM PUBLIC, systemprompt_app, systemprompt_audit, systemprompt_reader, systemprompt_sealer;
REVOKE ALL ON FUNCTION audit.next_position(), audit.adopt_server(), audit.only_pruned(), audit.prune()
  FROM PUBLIC, systemprompt_app, systemprompt_audit, systemprompt_sealer;
REVOKE UPDATE, DELETE, TRUNCATE ON audit.segments, audit.checkpoints FROM CURRENT_USER;
-- For audit.prune, which is the owner's; the triggers hold for everybody.
GRANT DELETE ON audit.tool_intents, audit.tool_outcomes, identity_events TO CURRENT_USER;

GRANT EXECUTE ON FUNCTION audit.next_position() TO systemprompt_app, systemprompt_audit, systemprompt_sealer;
GRANT USAGE ON SCHEMA audit TO systemprompt_sealer;
GRANT SELECT ON audit.tool_intents, audit.tool_outcomes, identity_events, audit.segments, audit.checkpoints
  TO systemprompt_sealer;
GRANT INSERT ON audit.segments, audit.checkpoints TO systemprompt_sealer;
GRANT EXECUTE ON FUNCTION audit.adopt_server(), audit.prune() TO systemprompt_sealer;
CREATE POLICY sealer ON audit.tool_intents FOR SELECT TO systemprompt_sealer USING (true);
CREATE POLICY sealer ON audit.tool_outcomes FOR SELECT TO systemprompt_sealer USING (true);
CREATE POLICY sealer ON identity_events FOR SELECT TO systemprompt_sealer USING (true);

-- Whoever verifies: an admin, by the application.
GRANT SELECT ON audit.segments, audit.checkpoints TO systemprompt_app;
-- What people may look at with `infra db query`: what was sealed when, and no digest.
GRANT SELECT ON audit.servers TO systemprompt_reader;
GRANT SELECT (number, source, version, until_end, until_open, upto_position, upto_key, leaves, note, sealed_at)
  ON audit.segments TO systemprompt_reader;
GRANT SELECT (number, segment, leaves, key_id, signed_at) ON audit.checkpoints TO systemprompt_reader;
