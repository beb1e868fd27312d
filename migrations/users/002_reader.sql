-- What people may look at with `infra db query`.
GRANT SELECT ON users TO systemprompt_reader;
