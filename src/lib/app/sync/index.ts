import type { Extension } from '../../shared/extension.ts';

/** Configuration files in the database: configuration_store, configuration_versions, configuration_files. */
export const sync: Extension = {
  id: 'sync',
  version: '1.0.0',
  migrations: 'sync',
};
