-- Calls are read by their user, or by whoever works for the system or may see everybody's (an admin): what is not declared
-- as one of them sees nothing. The writer only adds.
ALTER TABLE audit.tool_intents ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit.tool_outcomes ENABLE ROW LEVEL SECURITY;

CREATE POLICY own ON audit.tool_intents FOR SELECT TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id));
-- The intents that are asked are those that may be seen.
CREATE POLICY own ON audit.tool_outcomes FOR SELECT TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) = 'system'
    OR EXISTS (SELECT FROM audit.tool_intents i WHERE i.execution_id = tool_outcomes.execution_id));

CREATE POLICY writer ON audit.tool_intents FOR INSERT TO systemprompt_audit WITH CHECK (true);
CREATE POLICY writer ON audit.tool_outcomes FOR INSERT TO systemprompt_audit WITH CHECK (true);

CREATE POLICY reader ON audit.tool_intents FOR SELECT TO systemprompt_reader USING (true);
CREATE POLICY reader ON audit.tool_outcomes FOR SELECT TO systemprompt_reader USING (true);
