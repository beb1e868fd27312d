-- Files of services/ as the database has them, and every body that ever was on one side: nothing that loses is lost.

-- Tells this database from another that has the same files: what was last in step with that one says nothing here.
CREATE TABLE configuration_store (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  singleton boolean NOT NULL DEFAULT true UNIQUE CHECK (singleton)
);
INSERT INTO configuration_store DEFAULT VALUES;

CREATE TABLE configuration_versions (
  path       text NOT NULL CHECK (path ~ '^[^/].*' AND length(path) <= 1000),
  version    integer NOT NULL CHECK (version > 0),
  digest     text CHECK (digest ~ '^[0-9a-f]{64}$'),  -- SHA-256 of the body; null: the file was deleted
  body       bytea,
  origin     text NOT NULL CHECK (origin IN ('files', 'database', 'merge')),
  -- False: the side that lost, kept in case that somebody wants it back.
  prevailed  boolean NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  written_by text NOT NULL,
  PRIMARY KEY (path, version),
  CHECK ((digest IS NULL) = (body IS NULL))
);
CREATE INDEX configuration_versions_by_digest ON configuration_versions (path, digest);

-- Which version holds.
CREATE TABLE configuration_files (
  path    text PRIMARY KEY,
  version integer NOT NULL,
  FOREIGN KEY (path, version) REFERENCES configuration_versions (path, version)
);

GRANT SELECT ON configuration_store TO systemprompt_app;
GRANT SELECT, INSERT ON configuration_versions TO systemprompt_app;
GRANT SELECT, INSERT, UPDATE ON configuration_files TO systemprompt_app;
GRANT SELECT ON configuration_store, configuration_versions, configuration_files TO systemprompt_reader;
