import { string } from '@oclif/core/args';
import { boolean, integer, option, string as text } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { shellWord } from '../../../entry/cli/invocation.ts';
import { logText, sinceTime } from '../../../entry/cli/views/logs.ts';
import type { LogQuery } from '../../../lib/app/supervisor/client.ts';
import { logLevels } from '../../../lib/app/supervisor/log-lines.ts';
import type { ServiceLogLine } from '../../../lib/app/supervisor/status.ts';
import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

const shownLines = 20;
const mostLines = 10_000;

export default class Logs extends BaseCommand<typeof Logs> {
  static override summary = 'Show what the services print and have printed';
  static override examples = [
    '<%= config.bin %> infra services logs api --lines 50',
    '<%= config.bin %> infra services logs mcp --since 15m --level warn',
    '<%= config.bin %> infra services logs mcp:systemprompt --follow',
    '<%= config.bin %> infra services logs',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'supervisor' };
  static override args = {
    services: string({
      multiple: true,
      ignoreStdin: true,
      description: 'Services or kinds (database, api, mcp), or supervisor; every service when none is named',
    }),
  };
  static override flags = {
    service: text({ multiple: true, helpValue: '<name>', summary: 'The same as naming it; may be repeated' }),
    lines: integer({
      char: 'n',
      min: 1,
      max: mostLines,
      helpValue: '<number>',
      summary: `How many of the last lines of each; ${shownLines}, or with --since up to ${mostLines}`,
    }),
    since: text({
      helpValue: '<time>',
      summary: 'Nothing older: 90s, 15m, 2h, 1d, or a time such as 2026-01-31T12:00',
    }),
    level: option({ options: logLevels, summary: 'Nothing less severe; lines without a level are shown' })(),
    follow: boolean({ summary: 'Go on with what is printed from now on, until Ctrl-C' }),
  };

  protected async execute(): Promise<TextArtifact> {
    const asked = [...(this.args.services ?? []), ...(this.flags.service ?? [])];
    if (this.flags.follow && this.output.session.delegated) {
      throw new UsageError("--follow never ends, so it can't be answered here", {
        hint: 'Ask for the last lines with --lines, and again later for newer ones',
        next: [`infra services logs${asked.map((name) => ` ${shellWord(name)}`).join('')} --lines 50`],
      });
    }
    const wanted = this.#query();
    const { openLogs } = await import('../../../entry/cli/log-source.ts');
    const source = await openLogs(this.context, asked);
    const width = Math.max(0, ...source.services.map((name) => name.length));
    const query = { ...wanted, service: source.services };
    return this.flags.follow ? await this.#follow(source.lines, query, width) : await read(source.lines, query, width);
  }

  #query(): Omit<LogQuery, 'service'> {
    const { since, level, lines } = this.flags;
    const from = since === undefined ? undefined : sinceTime(since);
    if (since !== undefined && from === undefined) {
      throw new UsageError(`--since is neither a duration nor a time: ${since}`, {
        hint: 'Write 90s, 15m, 2h or 1d, or a time such as 2026-01-31T12:00 or 2026-01-31T12:00:00Z',
      });
    }
    return {
      lines: lines ?? (from === undefined ? shownLines : mostLines),
      ...(from === undefined ? {} : { since: from }),
      ...(level === undefined ? {} : { level }),
    };
  }

  async #follow(
    lines: (query: LogQuery) => AsyncIterable<ServiceLogLine>,
    query: LogQuery,
    width: number,
  ): Promise<TextArtifact> {
    using interrupts = new Interrupts();
    let count = 0;
    for await (const line of lines({ ...query, follow: true, signal: interrupts.signal })) {
      count += 1;
      this.output.line(logText(line, width), { ...line });
    }
    this.exitStatus = interrupts.exitCode;
    return { type: 'text', content: `${count} lines.`, data: { count } };
  }
}

async function read(
  source: (query: LogQuery) => AsyncIterable<ServiceLogLine>,
  query: LogQuery,
  width: number,
): Promise<TextArtifact> {
  const lines: ServiceLogLine[] = [];
  for await (const line of source(query)) lines.push(line);
  const content = lines.map((line) => logText(line, width)).join('\n');
  return { type: 'text', content: content === '' ? 'No log lines found.' : content, data: { lines } };
}
