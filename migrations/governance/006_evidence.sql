-- What lies beside the audit follows it: a decision on a call is not there without its event, which the chain covers, and what
-- was kept of calls goes with them.

-- Checked when the transaction ends, whatever program decides: the event is of this transaction, and names who decided.
CREATE FUNCTION audit.decision_on_record() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM public.identity_events e
    WHERE e.position = audit.next_position() AND e.data ->> 'approval' = NEW.id::text
      AND e.type = CASE NEW.state WHEN 'denied' THEN 'call_denied' ELSE 'call_approved' END
      AND coalesce(e.actor_id, e.user_id) = NEW.decided_by) THEN
    RAISE EXCEPTION 'The decision on % is refused: it is not on record', NEW.id USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION audit.decision_on_record() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER decision_on_record AFTER UPDATE ON tool_approvals DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.state <> OLD.state AND (NEW.state IN ('approved', 'denied') OR (NEW.state = 'used' AND OLD.state <> 'approved')))
  EXECUTE FUNCTION audit.decision_on_record();
ALTER TABLE tool_approvals ENABLE ALWAYS TRIGGER decision_on_record;

-- As before, and what was kept of calls of that time goes too: artifacts and approvals.
CREATE OR REPLACE FUNCTION audit.prune() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  note json := (SELECT s.note::json FROM audit.segments s WHERE s.source = 'retention' ORDER BY s.number DESC LIMIT 1);
  through bigint := (note ->> 'through')::bigint;
  before timestamptz := (note ->> 'before')::timestamptz;
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
  DELETE FROM public.tool_artifacts WHERE created_at < before;
  DELETE FROM public.tool_approvals WHERE asked_at < before AND expires_at < now();
  INSERT INTO public.identity_events (type, data)
    VALUES ('audit_pruned', jsonb_build_object('rows', total, 'through', through, 'before', note ->> 'before'));
  RETURN total;
END
$$;
