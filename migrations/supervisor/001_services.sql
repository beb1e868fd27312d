-- What the supervisor knows of each service. The supervisor writes with the owner's connection; everybody else reads.
-- installation_id is the id of the `.systemprompt` folder, so that several installations may share one server;
-- instance_id is one run of one service's process and changes with every start.

CREATE TABLE supervisor_epoch (
  installation_id uuid PRIMARY KEY,
  -- Every supervisor that takes over adds one. A write under an older number finds no row and changes nothing.
  epoch bigint NOT NULL CHECK (epoch > 0),
  holder_pid integer NOT NULL,
  host text NOT NULL,
  boot_id text NOT NULL,
  version text NOT NULL,
  taken_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE services (
  installation_id uuid NOT NULL,
  name text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('database', 'api', 'scheduler', 'mcp', 'agent')),
  desired text NOT NULL CHECK (desired IN ('running', 'stopped')),
  state text NOT NULL CHECK (state IN ('stopped', 'starting', 'ready', 'unhealthy', 'backoff', 'stopping', 'failed')),
  generation integer NOT NULL CHECK (generation >= 0),
  instance_id uuid,
  host text,
  -- Boot id, pid and start ticks together name a process; a pid alone names whoever got the number last.
  boot_id text,
  pid integer CHECK (pid > 1),
  start_ticks text,
  port integer CHECK (port BETWEEN 1 AND 65535),
  artefact_hash text,
  config_hash text,
  started_at timestamptz,
  ready_at timestamptz,
  ready_ms integer,
  last_exit_code integer,
  last_exit_signal text,
  last_exit_at timestamptz,
  restarts integer NOT NULL DEFAULT 0,
  next_retry_at timestamptz,
  last_error text,
  epoch bigint NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (installation_id, name),
  CHECK (pid IS NULL OR (boot_id IS NOT NULL AND start_ticks IS NOT NULL AND instance_id IS NOT NULL))
);

CREATE TABLE service_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  installation_id uuid NOT NULL,
  service text NOT NULL,
  generation integer NOT NULL,
  instance_id uuid,
  from_state text NOT NULL,
  to_state text NOT NULL,
  event text NOT NULL,
  reason text,
  pid integer,
  port integer,
  exit_code integer,
  exit_signal text,
  epoch bigint NOT NULL,
  at timestamptz NOT NULL
);
CREATE INDEX service_events_by_service ON service_events (installation_id, service, id DESC);

-- The record of what happened is never rewritten, not even by the owner of the table.
CREATE FUNCTION service_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'service_events is append-only';
END $$;
CREATE TRIGGER service_events_append_only BEFORE UPDATE OR DELETE ON service_events
  FOR EACH ROW EXECUTE FUNCTION service_events_append_only();
CREATE TRIGGER service_events_no_truncate BEFORE TRUNCATE ON service_events
  FOR EACH STATEMENT EXECUTE FUNCTION service_events_append_only();

-- Whoever routes to services reads the table again on this notice; the payload is the name of the service.
CREATE FUNCTION services_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('services', coalesce(NEW.name, OLD.name));
  RETURN NULL;
END $$;
CREATE TRIGGER services_changed AFTER INSERT OR UPDATE OR DELETE ON services
  FOR EACH ROW EXECUTE FUNCTION services_changed();

GRANT SELECT ON services TO systemprompt_app;
GRANT SELECT ON service_events TO systemprompt_app;
GRANT SELECT ON supervisor_epoch TO systemprompt_app;
