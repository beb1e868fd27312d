-- Who loses a role keeps their sessions: tokens from before are refused by the count of what was taken away, and a client
-- that renews them gets what is left. A user who is suspended or deleted loses every session, as before.
DROP TRIGGER users_revoke_sessions ON users;
CREATE TRIGGER users_revoke_sessions AFTER UPDATE OF status, roles ON users
  FOR EACH ROW WHEN (NEW.status <> 'active') EXECUTE FUNCTION users_revoke_sessions();
