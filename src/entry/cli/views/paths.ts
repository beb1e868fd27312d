import type { ConfigPlace } from '../../../lib/app/config/paths.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';

/** Where things lie. @param checked whether what is wrong with them is told as well */
export function pathsTable(places: readonly ConfigPlace[], checked: boolean): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'name', column_type: 'string' },
      { name: 'kind', column_type: 'string' },
      checked ? { name: 'state', column_type: 'string' } : { name: 'exists', column_type: 'boolean' },
      { name: 'path', column_type: 'string' },
    ],
    items: places.map(({ name, kind, path, exists, fault }) => ({
      name,
      kind,
      path,
      exists,
      ...(checked ? { state: fault === undefined ? 'ok' : 'fail', fault: fault ?? null } : {}),
    })),
    count: places.length,
  };
}
