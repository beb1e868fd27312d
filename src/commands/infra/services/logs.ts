import { string } from '@oclif/core/args';
import { string as text } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { shellWord } from '../../../entry/cli/invocation.ts';
import { serviceLogFlags, serviceLogs } from '../../../entry/cli/service-logs.ts';
import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

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
    ...serviceLogFlags,
  };

  protected async execute(): Promise<TextArtifact> {
    const asked = [...(this.args.services ?? []), ...(this.flags.service ?? [])];
    if (this.flags.follow && this.output.session.delegated) {
      throw new UsageError("--follow never ends, so it can't be answered here", {
        hint: 'Ask for the last lines with --lines, and again later for newer ones',
        next: [`infra services logs${asked.map((name) => ` ${shellWord(name)}`).join('')} --lines 50`],
      });
    }
    return await serviceLogs({ context: this.context, output: this.output, asked, flags: this.flags }, (code) => {
      this.exitStatus = code;
    });
  }
}
