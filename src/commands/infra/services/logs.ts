import { string } from '@oclif/core/args';
import { boolean, integer } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { logText, mergedByTime } from '../../../entry/cli/views/logs.ts';
import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { ServiceLogLine } from '../../../lib/app/supervisor/status.ts';
import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { NotFoundError, UsageError } from '../../../lib/shared/errors.ts';
import { nearest } from '../../../lib/shared/nearest.ts';

export default class Logs extends BaseCommand<typeof Logs> {
  static override summary = 'Show what the services have printed';
  static override examples = [
    '<%= config.bin %> infra services logs api --lines 50',
    '<%= config.bin %> infra services logs mcp:systemprompt --follow',
    '<%= config.bin %> infra services logs',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'supervisor' };
  static override args = {
    service: string({ ignoreStdin: true, description: 'A service, or supervisor; every service when none is named' }),
  };
  static override flags = {
    lines: integer({
      char: 'n',
      min: 1,
      max: 10_000,
      default: 20,
      helpValue: '<number>',
      summary: 'How many of the last lines',
    }),
    follow: boolean({ summary: 'Go on with what is printed from now on, until Ctrl-C' }),
  };

  protected async execute(): Promise<TextArtifact> {
    const { service } = this.args;
    if (this.flags.follow && this.output.session.delegated) {
      throw new UsageError("--follow never ends, so it can't be answered here", {
        hint: 'Ask for the last lines with --lines, and again later for newer ones',
        next: [`infra services logs${service === undefined ? '' : ` ${service}`} --lines 50`],
      });
    }
    if (service === 'supervisor' && !this.flags.follow) return await this.#supervisorLog();
    const supervisor = await this.context.supervisor();
    const names = (await supervisor.status()).services.map((known) => known.name);
    if (service !== undefined && !names.includes(service)) throw unknownService(service, names);
    const chosen = service === undefined ? names : [service];
    return this.flags.follow ? await this.#follow(supervisor, chosen) : await this.#read(supervisor, chosen);
  }

  async #read(supervisor: SupervisorClient, names: readonly string[]): Promise<TextArtifact> {
    const lines: ServiceLogLine[] = [];
    for (const service of names) {
      for await (const line of supervisor.logs({ service, lines: this.flags.lines })) lines.push(line);
    }
    return shown(mergedByTime(lines));
  }

  async #follow(supervisor: SupervisorClient, names: readonly string[]): Promise<TextArtifact> {
    using interrupts = new Interrupts();
    let count = 0;
    const width = Math.max(...names.map((name) => name.length));
    const one = async (service: string): Promise<void> => {
      const query = { service, lines: this.flags.lines, follow: true, signal: interrupts.signal };
      for await (const line of supervisor.logs(query)) {
        count += 1;
        this.output.line(logText(line, width), { ...line });
      }
    };
    await Promise.all(names.map(one));
    this.exitStatus = interrupts.exitCode;
    return { type: 'text', content: `${count} lines.`, data: { count } };
  }

  /** The supervisor's own log is a file, so that it can be read when no supervisor runs. */
  async #supervisorLog(): Promise<TextArtifact> {
    const { tailLines } = await import('../../../lib/infra/process/logs.ts');
    const { logsDir } = await this.context.instance();
    const lines = tailLines(`${logsDir}/supervisor.log`, this.flags.lines);
    return { ...shown(lines.map((line) => ({ service: 'supervisor', line }))), data: { lines } };
  }
}

function shown(lines: readonly Pick<ServiceLogLine, 'service' | 'line'>[]): TextArtifact {
  const width = Math.max(0, ...lines.map((line) => line.service.length));
  const content = lines.map((line) => logText(line, width)).join('\n');
  return { type: 'text', content: content === '' ? 'No log lines found.' : content, data: { lines } };
}

function unknownService(service: string, names: readonly string[]): NotFoundError {
  const close = nearest(service, names);
  return new NotFoundError(`There is no service ${service}`, {
    hint: `There is: ${[...names, 'supervisor'].join(', ')}`,
    next: close.length > 0 ? close.map((name) => `infra services logs ${name}`) : ['infra services status'],
  });
}
