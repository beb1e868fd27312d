-- Who asks for what went wrong asks for few calls of many: without an index the whole audit was read for them. A success,
-- which is nearly every call, pays nothing.
CREATE INDEX tool_outcomes_status ON audit.tool_outcomes (status, execution_id) WHERE status <> 'success';
