import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { boolean, integer } from '@oclif/core/flags';
import { canAsk } from '../../../entry/cli/ask.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { duration, longestWait } from '../../../entry/cli/flags.ts';
import { descriptionCard, indexesTable, relationsTable } from '../../../entry/cli/views/database.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { AnswerNeededError } from '../../../lib/shared/errors.ts';

export default class DbShell extends BaseCommand<typeof DbShell> {
  static override summary = 'Talk to the database in SQL';
  static override description =
    'At a terminal: statements that end with a semicolon, with history, \\d for tables, \\? for help, \\q to end. From a ' +
    'pipe it runs what comes, until a statement fails. It reads only, as infra db query does, unless --write is given.';
  static override examples = [
    '<%= config.bin %> infra db shell',
    '<%= config.bin %> infra db shell --write < statements.sql',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override flags = {
    write: boolean({ summary: 'Let statements change data, each in a transaction of its own' }),
    limit: integer({ min: 1, max: 100_000, default: 1000, helpValue: '<number>', summary: 'How many rows at most' }),
    timeout: duration({ default: 30, max: longestWait, summary: 'How long a statement may take' }),
  };

  protected async execute(): Promise<Artifact> {
    const { flags, context, output } = this;
    const { session } = output;
    const place = await databasePlace(context);
    const { runShellItem } = await import('../../../lib/app/database/shell-commands.ts');
    const { runInteractive, runPiped } = await import('../../../entry/cli/live/sql-shell.ts');
    const options = { limit: flags.limit, timeoutMs: flags.timeout * 1000, write: flags.write };
    const views = { tables: relationsTable, description: descriptionCard, indexes: indexesTable };
    const terminal = session.stdin.isTTY === true;
    if (terminal && !canAsk(session)) {
      throw new AnswerNeededError('A shell needs somebody who types', {
        hint: 'Pipe statements into it, or ask one with infra db query',
        next: ['infra db query --help'],
      });
    }
    // Asked before anything is read: what can't be reached is told to a pipe, too, before its first statement comes.
    const { asReader } = await import('../../../lib/app/database/connections.ts');
    const [found] = await asReader(place, (on) =>
      on.query<{ name: string; version: string }>(
        "SELECT current_database() AS name, current_setting('server_version') AS version",
      ),
    );
    if (terminal) {
      const name = found?.name ?? 'database';
      output.note(
        `PostgreSQL ${found?.version}, database ${name}${flags.write ? '' : ', reading only'}. \\? for help.`,
      );
      const { dir } = await context.instance();
      await runInteractive(output, (item, signal) => runShellItem(place, item, { ...options, signal }, views), {
        prompt: `${name}${flags.write ? '!' : ''}=> `,
        historyFile: join(dir, 'db-shell-history'),
      });
      return { type: 'text', content: '' };
    }
    const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
    const count = await runPiped(lines, output, (item) => runShellItem(place, item, options, views));
    return { type: 'text', content: 'No statement came.', data: { statements: count } };
  }
}
