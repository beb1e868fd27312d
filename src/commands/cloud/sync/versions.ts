import { string as argument } from '@oclif/core/args';
import { integer } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { NotFoundError, UsageError } from '../../../lib/shared/errors.ts';

export default class SyncVersions extends BaseCommand<typeof SyncVersions> {
  static override summary = 'List what the database has of services/';
  static override description =
    'Without a path: the version of each file that holds. With one: every version that it ever had, also those that lost. ' +
    'With --version: the content of that version, as it was.';
  static override examples = [
    '<%= config.bin %> cloud sync versions',
    '<%= config.bin %> cloud sync versions mcp/systemprompt.yaml --version 1',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'admin',
    needs: 'database',
  };
  static override args = { path: argument({ ignoreStdin: true, description: 'A file, relative to services/' }) };
  static override flags = {
    version: integer({ min: 1, summary: 'Print this version' }),
    limit: integer({ min: 1, max: 1000, default: 100, summary: 'List at most so many' }),
  };

  protected async execute(): Promise<Artifact> {
    const { path } = this.args;
    const { version, limit } = this.flags;
    const { listVersions, versionBody } = await import('../../../lib/app/sync/repository.ts');
    const { textOf } = await import('../../../lib/app/sync/merge.ts');
    const database = await this.context.database();
    if (version === undefined) {
      const rows = await listVersions(database, path, limit);
      if (path !== undefined && rows.length === 0) throw unknown(path);
      return {
        type: 'table',
        columns: [
          { name: 'path', label: 'FILE', column_type: 'string' },
          { name: 'version', column_type: 'integer' },
          { name: 'state', column_type: 'string' },
          { name: 'origin', label: 'FROM', column_type: 'string' },
          { name: 'bytes', label: 'SIZE', column_type: 'bytes' },
          { name: 'written_at', label: 'WRITTEN', column_type: 'date' },
          { name: 'written_by', label: 'BY', column_type: 'string' },
        ],
        items: rows.map((row) => ({
          path: row.path,
          version: row.version,
          state: row.current ? 'current' : row.prevailed ? 'replaced' : 'overruled',
          origin: row.origin,
          bytes: row.bytes,
          written_at: row.written_at.toISOString(),
          written_by: row.written_by,
          digest: row.digest,
        })),
        count: rows.length,
        empty: 'Nothing was synced to this database yet.',
      };
    }
    if (path === undefined) {
      throw new UsageError('A version is that of one file', { hint: 'Name the file', next: ['cloud sync versions'] });
    }
    const body = await versionBody(database, path, version);
    if (body === undefined) throw unknown(`${path}, version ${version}`);
    const content = textOf(body) ?? Buffer.from(body.bytes).toString('base64');
    return { type: 'copy_paste_text', content, data: { path, version, digest: body.digest } };
  }
}

function unknown(what: string): NotFoundError {
  return new NotFoundError(`The database has no ${what}`, { next: ['cloud sync versions'] });
}
