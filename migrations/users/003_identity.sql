-- People and service accounts. `access_version` counts how often something was taken away (a role, a grant, the whole
-- access): every token carries the count of its issue, and one with a lower count is refused. No clock is compared for it;
-- `access_changed_at` only says how long a verifier must remember the change.
ALTER TABLE users
  ADD COLUMN kind text NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'service')),
  ADD COLUMN access_version integer NOT NULL DEFAULT 1 CHECK (access_version > 0),
  ADD COLUMN access_changed_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN email_verified_at timestamptz,
  -- Why and since when somebody is not active.
  ADD COLUMN status_reason text CHECK (length(status_reason) BETWEEN 1 AND 500),
  ADD COLUMN status_changed_at timestamptz;

-- A deleted user is a row without personal data: the audit names its id for ever.
ALTER TABLE users DROP CONSTRAINT users_status_check;
ALTER TABLE users ADD CONSTRAINT users_status_check CHECK (status IN ('active', 'suspended', 'deleted'));
ALTER TABLE users ADD CONSTRAINT users_deleted_is_empty CHECK (status <> 'deleted' OR (email IS NULL AND roles = '{}'));
-- Addresses are stored normalised, in ASCII: two that look alike are never two different ones.
ALTER TABLE users ADD CONSTRAINT users_email_ascii CHECK (octet_length(email) = char_length(email));
ALTER TABLE users ADD CONSTRAINT users_email_verified CHECK (email_verified_at IS NULL OR email IS NOT NULL);

-- What verifiers load: whose access changed lately.
CREATE INDEX users_access_changed ON users (access_changed_at);

CREATE FUNCTION users_count_access() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.access_version < OLD.access_version THEN
    RAISE EXCEPTION 'access_version never falls' USING ERRCODE = 'check_violation';
  END IF;
  IF OLD.status = 'deleted' AND NEW.status <> 'deleted' THEN
    RAISE EXCEPTION 'a deleted user stays deleted' USING ERRCODE = 'check_violation';
  END IF;
  IF (NEW.status <> 'active' AND OLD.status = 'active') OR NOT (OLD.roles <@ NEW.roles) THEN
    NEW.access_version := greatest(NEW.access_version, OLD.access_version + 1);
  END IF;
  IF NEW.access_version > OLD.access_version THEN NEW.access_changed_at := clock_timestamp(); END IF;
  IF NEW.status <> OLD.status THEN NEW.status_changed_at := clock_timestamp(); END IF;
  -- Another address has not been proven by anybody.
  IF NEW.email IS DISTINCT FROM OLD.email AND NEW.email_verified_at IS NOT DISTINCT FROM OLD.email_verified_at THEN
    NEW.email_verified_at := NULL;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER users_count_access BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION users_count_access();

-- Verifiers in other processes hear of it at commit.
CREATE FUNCTION users_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('auth', json_build_object('type', 'access', 'user', NEW.id, 'version', NEW.access_version)::text);
  RETURN NULL;
END $$;

CREATE TRIGGER users_announce AFTER UPDATE OF access_version, status, roles ON users
  FOR EACH ROW WHEN (OLD.access_version <> NEW.access_version) EXECUTE FUNCTION users_announce();

-- Somebody can always administer the instance. Rows of the other admins are locked, so that two who take each other's
-- role away at the same time can't both succeed.
CREATE FUNCTION users_keep_an_admin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id <> NEW.id AND status = 'active' AND kind = 'person' AND 'admin' = ANY (roles)
    ORDER BY id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% is the last active admin', OLD.name
      USING ERRCODE = 'check_violation', CONSTRAINT = 'users_keep_an_admin', TABLE = 'users';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER users_keep_an_admin AFTER UPDATE OF status, roles, kind ON users
  FOR EACH ROW WHEN (
    OLD.status = 'active' AND OLD.kind = 'person' AND 'admin' = ANY (OLD.roles)
    AND NOT (NEW.status = 'active' AND NEW.kind = 'person' AND 'admin' = ANY (NEW.roles)))
  EXECUTE FUNCTION users_keep_an_admin();
