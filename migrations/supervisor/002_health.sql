-- What the health checks have found, beside the state. A service that is ready may say of itself that it can't serve for
-- now: then nothing is routed to it, and nothing else happens.
ALTER TABLE services
  ADD COLUMN serving boolean NOT NULL DEFAULT true,
  ADD COLUMN health_reason text,
  ADD COLUMN failures_in_row integer NOT NULL DEFAULT 0 CHECK (failures_in_row >= 0),
  ADD COLUMN first_failure_at timestamptz;
