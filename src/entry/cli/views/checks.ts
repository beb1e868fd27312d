import type { CheckResult } from '../../../lib/app/doctor/checks.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';

/**
 * The findings of the doctor. `fix`, a command as the user can run it, is data and no column: cut short it would be of no
 * use, and the commands that mend what failed are told below the table.
 */
export function checksTable(results: readonly CheckResult[], runnable: (command: string) => string): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'check', column_type: 'string' },
      { name: 'state', column_type: 'string' },
      { name: 'detail', column_type: 'string' },
    ],
    items: results.map((result) => ({
      check: result.name,
      state: result.state,
      detail: result.detail,
      fix: result.fix === undefined ? (result.shell ?? null) : runnable(result.fix),
    })),
    count: results.length,
  };
}
