-- Who somebody is, is for that user and for whoever works for the system or may see everybody (an admin).
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON users TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', id::text))
  WITH CHECK (current_setting('systemprompt.actor', true) = 'system');
CREATE POLICY reader ON users FOR SELECT TO systemprompt_reader USING (true);
