import { resolve } from 'node:path';
import { boolean, option, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { logFilterFlags, wantedLogs } from '../../../entry/cli/log-flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

// Written out, so that the command line is parsed without loading the logs; a test compares it.
export const logExportFormats = ['jsonl', 'json', 'csv'] as const;

export default class LogsExport extends BaseCommand<typeof LogsExport> {
  static override summary = 'Write what was logged to a file';
  static override description = 'The oldest first. The file is there when all of it is written, readable to you alone.';
  static override examples = [
    '<%= config.bin %> infra logs export --since 1d --output logs.jsonl',
    '<%= config.bin %> infra logs export --format csv --level error --output errors.csv',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override flags = {
    output: string({ required: true, helpValue: '<file>', summary: 'The file to write' }),
    format: option({
      options: logExportFormats,
      default: 'jsonl',
      summary: 'One JSON a line, one JSON list, or CSV',
    })(),
    overwrite: boolean({ summary: 'Replace a file that is there' }),
    ...logFilterFlags,
  };

  protected async execute(): Promise<Artifact> {
    const [{ openLogPlaces }, { allEntries }, { exportEntries }] = await Promise.all([
      import('../../../entry/cli/log-places.ts'),
      import('../../../lib/app/logs/index.ts'),
      import('../../../lib/app/logs/export.ts'),
    ]);
    const { format, overwrite } = this.flags;
    const wanted = wantedLogs(this.flags);
    const places = await openLogPlaces(this.context, this.flags.service ?? [], true, this.flags.user);
    const file = resolve(this.output.session.cwd, this.flags.output);
    const entries = allEntries(places, { ...wanted, services: places.asked, user: places.user });
    const { count, bytes } = await exportEntries(entries, file, { format, overwrite });
    const { missing } = places;
    return {
      type: 'text',
      content: [`${count} entries written to ${file}.`, ...(missing === undefined ? [] : [missing])].join('\n'),
      data: { file, format, count, bytes, ...(missing === undefined ? {} : { missing }) },
    };
  }
}
