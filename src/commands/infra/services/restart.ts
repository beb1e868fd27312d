import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { refuseOwnPath } from '../../../entry/cli/delegation.ts';
import { changedTable } from '../../../entry/cli/views/services.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class Restart extends BaseCommand<typeof Restart> {
  static override summary = 'Restart everything, or the services that are named';
  static override examples = [
    '<%= config.bin %> infra services restart mcp:systemprompt',
    '<%= config.bin %> infra services restart',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'supervisor' };
  static override args = {
    services: string({ multiple: true, ignoreStdin: true, description: 'Services to restart; all when none is named' }),
  };

  protected async execute(): Promise<Artifact> {
    const names = this.args.services ?? [];
    refuseOwnPath('restart', names, this.output.session);
    const supervisor = await this.context.supervisor();
    const result = await supervisor.restart(names.length > 0 ? names : undefined);
    return changedTable('restart', names, result);
  }
}
