import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { changedWhenConfirmed } from '../../../../entry/cli/config-change.ts';
import { resetChanges } from '../../../../entry/cli/rate-limit-changes.ts';
import { endpointNames, tierNames } from '../../../../entry/cli/views/rate-limits.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ResetRateLimits extends BaseCommand<typeof ResetRateLimits> {
  static override summary = 'Put rate limits back to their defaults';
  static override examples = [
    '<%= config.bin %> admin config rate-limits reset --dry-run',
    '<%= config.bin %> admin config rate-limits reset --endpoint mcp --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override flags = {
    endpoint: string({ options: endpointNames, summary: 'Only this group of endpoints' }),
    tier: string({ options: tierNames, summary: 'Only this kind of caller' }),
    yes: boolean({ char: 'y', summary: 'Do it without being asked' }),
    'dry-run': boolean({ summary: 'Only check it and show what would change' }),
  };

  protected async execute(): Promise<Artifact> {
    const changes = resetChanges(this.flags);
    return await changedWhenConfirmed(this.context, this.output, changes, { id: this.ctor.id, flags: this.flags });
  }
}
