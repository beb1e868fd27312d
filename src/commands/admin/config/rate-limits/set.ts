import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { changed } from '../../../../entry/cli/config-change.ts';
import { limitChanges } from '../../../../entry/cli/rate-limit-changes.ts';
import { endpointNames, tierNames } from '../../../../entry/cli/views/rate-limits.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class SetRateLimits extends BaseCommand<typeof SetRateLimits> {
  static override summary = 'Change rate limits';
  static override examples = [
    '<%= config.bin %> admin config rate-limits set --endpoint mcp --rate 100',
    '<%= config.bin %> admin config rate-limits set --tier anon --multiplier 0.2 --dry-run',
    '<%= config.bin %> admin config rate-limits set --enable',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override flags = {
    endpoint: string({ options: endpointNames, dependsOn: ['rate'], summary: 'Group of endpoints, with --rate' }),
    rate: string({ dependsOn: ['endpoint'], helpValue: '<number>', summary: 'Requests per second of one caller' }),
    tier: string({ options: tierNames, dependsOn: ['multiplier'], summary: 'Kind of caller, with --multiplier' }),
    multiplier: string({ dependsOn: ['tier'], helpValue: '<number>', summary: 'By so much more for that kind' }),
    burst: string({ helpValue: '<number>', summary: 'Seconds of requests that may come at once' }),
    enable: boolean({ exclusive: ['disable'], summary: 'Count requests' }),
    disable: boolean({ summary: 'Count no requests' }),
    'dry-run': boolean({ summary: 'Only check it and show what would change' }),
  };

  protected async execute(): Promise<Artifact> {
    return await changed(this.context, this.output, limitChanges(this.flags), this.flags['dry-run'] === true);
  }
}
