import { string as argument } from '@oclif/core/args';
import { boolean, integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { duration, longestWait } from '../../../entry/cli/flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { ForbiddenError, UsageError } from '../../../lib/shared/errors.ts';

export default class DbQuery extends BaseCommand<typeof DbQuery> {
  static override summary = 'Ask the database a question in SQL';
  static override description =
    'One statement, in a read-only transaction, as a role that sees no secret. With --write one or several, in one ' +
    'transaction, as the application. The statement may also come from --file or from standard input.';
  static override examples = [
    '<%= config.bin %> infra db query "SELECT name, status FROM users"',
    '<%= config.bin %> infra db query --file report.sql --limit 20 --json',
    `<%= config.bin %> infra db query --write "UPDATE users SET display_name = 'Ada' WHERE name = 'ada'"`,
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override args = { sql: argument({ ignoreStdin: true, description: 'The statement' }) };
  static override flags = {
    file: string({ char: 'f', helpValue: '<path>', summary: 'Read the statement from this file' }),
    limit: integer({ min: 1, max: 100_000, default: 1000, helpValue: '<number>', summary: 'How many rows at most' }),
    timeout: duration({ default: 30, max: longestWait, summary: 'How long the statement may take' }),
    write: boolean({ summary: 'Let it change data, in one transaction' }),
  };

  protected async execute(): Promise<Artifact> {
    const { flags, context } = this;
    const { delegated } = this.output.session;
    if (delegated && (flags.write || flags.file !== undefined)) {
      throw new ForbiddenError(
        `--${flags.write ? 'write' : 'file'} is for the machine itself only, not for the systemprompt tool`,
        {
          hint: 'Give one statement that reads',
        },
      );
    }
    const place = await databasePlace(context);
    const sql = await this.#statement();
    const request = { sql, file: flags.file, limit: flags.limit, timeoutMs: flags.timeout * 1000 };
    const { readQuery, writeQuery } = await import('../../../lib/app/database/query.ts');
    const { missingReader, readerOf } = await import('../../../lib/app/database/connections.ts');
    if (!flags.write) return await readQuery(await readerOf(place), request).catch(missingReader);
    const { connectionFor } = await import('../../../lib/infra/database/connections.ts');
    return await writeQuery(await connectionFor(place.instance, place.profile, place.secrets, 'app'), request);
  }

  async #statement(): Promise<string> {
    const { file } = this.flags;
    const { sql } = this.args;
    const { session } = this.output;
    if (sql !== undefined && file !== undefined) throw new UsageError('Give a statement or --file, not both');
    if (sql !== undefined) return sql;
    const { readInput, readTextFile } = await import('../../../entry/cli/read-input.ts');
    if (file !== undefined) return await readTextFile(file, session.cwd);
    if (session.delegated || session.stdin.isTTY === true)
      throw new UsageError('Missing the statement', {
        hint: 'Write it behind the command, or name a --file',
        next: ['infra db query --help'],
      });
    return await readInput('a statement');
  }
}
