import type { Extension } from '../../shared/extension.ts';

/** The supervisor's tables: services, service_events, supervisor_epoch. */
export const supervisor: Extension = {
  id: 'supervisor',
  version: '1.0.0',
  migrations: 'supervisor',
};
