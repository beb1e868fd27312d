-- What people may look at with `infra db query`.
GRANT SELECT ON services, service_events, supervisor_epoch TO systemprompt_reader;
