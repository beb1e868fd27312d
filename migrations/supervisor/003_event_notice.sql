-- Whoever follows the events reads the new rows on this notice; the payload is the installation. All events of one
-- installation are written by the holder of its epoch, one after the other, so that ids become visible in their order.
CREATE FUNCTION service_events_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('service_events', NEW.installation_id::text);
  RETURN NULL;
END $$;
CREATE TRIGGER service_events_added AFTER INSERT ON service_events
  FOR EACH ROW EXECUTE FUNCTION service_events_added();

-- The newest of all services, and those after one that is known already.
CREATE INDEX service_events_by_id ON service_events (installation_id, id DESC);
