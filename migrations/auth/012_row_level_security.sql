-- What belongs to a user is seen and changed on that user's behalf, or by whoever works for the system or may see
-- everybody's (an admin). A connection says for whom it works (setting systemprompt.actor); one that says nothing sees
-- nothing. The application's role can't bypass it; the owner, who migrates, is not bound by it.
DO $$
DECLARE
  owned text;
BEGIN
  FOREACH owned IN ARRAY ARRAY['user_sessions', 'oauth_payloads', 'passkeys', 'federated_identities', 'browser_sessions',
    'sign_in_steps', 'personal_access_tokens'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
    EXECUTE format($policy$CREATE POLICY own ON %I TO systemprompt_app
      USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text))$policy$, owned);
    -- People's questions (infra db query) are asked by admins, and columns that let anybody in are not granted.
    EXECUTE format('CREATE POLICY reader ON %I FOR SELECT TO systemprompt_reader USING (true)', owned);
  END LOOP;
END $$;

-- Whom it is about and who did it may read it; what is written is a matter of who writes.
ALTER TABLE identity_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON identity_events FOR SELECT TO systemprompt_app
  USING (current_setting('systemprompt.actor', true) IN ('system', user_id::text, actor_id::text));
CREATE POLICY added ON identity_events FOR INSERT TO systemprompt_app WITH CHECK (true);
CREATE POLICY reader ON identity_events FOR SELECT TO systemprompt_reader USING (true);
