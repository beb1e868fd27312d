-- What callers have used of their allowance, where several API processes count together. Not logged: after a crash of the
-- server everybody begins with a whole allowance, as after a restart of the processes.
CREATE UNLOGGED TABLE rate_allowances (
  quota text NOT NULL,
  caller text NOT NULL,
  -- When the allowance is whole again (generic cell rate algorithm), by the database's clock.
  whole_at timestamptz NOT NULL,
  -- How much of what was asked for last could be given.
  granted integer NOT NULL,
  PRIMARY KEY (quota, caller)
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE, DELETE ON rate_allowances TO systemprompt_app;
GRANT SELECT ON rate_allowances TO systemprompt_reader;
