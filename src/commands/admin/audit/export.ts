import { resolve } from 'node:path';
import { boolean, option, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { moment } from '../../../entry/cli/flags.ts';
import { ProgressLine } from '../../../entry/cli/live/progress-line.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

// Written out, so that the command line is parsed without loading the audit; a test compares it.
export const auditExportFormats = ['jsonl', 'csv', 'ocsf'] as const;

const endings = { jsonl: 'jsonl', csv: 'csv', ocsf: 'ocsf.jsonl' } as const;

export default class AuditExport extends BaseCommand<typeof AuditExport> {
  static override summary = 'Write the audit to a file';
  static override description =
    'jsonl has intents, outcomes and the audit of identity with their chain, and verifies anywhere: admin audit verify --file. csv has ' +
    'one tool call a row, ocsf one event (API Activity, class 6003) a line. The file is readable to you alone.';
  static override examples = [
    '<%= config.bin %> admin audit export --output audit.jsonl',
    '<%= config.bin %> admin audit export --format csv --server systemprompt --since 30d --output calls.csv',
    '<%= config.bin %> admin audit export --format ocsf --user ada --output calls.ocsf.jsonl',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override flags = {
    format: option({
      options: auditExportFormats,
      default: 'jsonl',
      summary: 'The chain with its rows, or tool calls',
    })(),
    output: string({
      char: 'o',
      helpValue: '<file>',
      summary: 'The file; audit-<time>.<format> in this folder unless told',
    }),
    overwrite: boolean({ summary: 'Replace a file that is there' }),
    server: string({ helpValue: '<name>', summary: 'What concerns this MCP server' }),
    user: string({ helpValue: '<name>', summary: 'What concerns this user' }),
    since: moment({ summary: 'What began since then' }),
    until: moment({ summary: 'What began until then' }),
  };

  protected async execute(): Promise<Artifact> {
    const { flags, context, output } = this;
    const { exportAudit } = await import('../../../lib/app/audit/export.ts');
    const { packageVersion } = await import('../../../lib/infra/config/package-root.ts');
    const { format, overwrite, server, user, since, until } = flags;
    const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
    const file = resolve(output.session.cwd, flags.output ?? `audit-${time}Z.${endings[format]}`);
    using progress = new ProgressLine(output.session, 'Exporting');
    const { lines, bytes, unsealed } = await exportAudit(await context.database(), await context.currentActor(), {
      filter: { server, user, since, until },
      format,
      file,
      overwrite,
      version: packageVersion(),
      onProgress: progress.say,
    });
    const left = `${unsealed} ${unsealed === 1 ? 'row is' : 'rows are'} not sealed yet and not in it: the running system seals them within a second.`;
    const content = [`${lines} lines written to ${file}.`, ...(unsealed === 0 ? [] : [left])].join('\n');
    return { type: 'text', content, data: { file, format, lines, bytes, unsealed } };
  }
}
