import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ExportRateLimits extends BaseCommand<typeof ExportRateLimits> {
  static override summary = 'Print the rate limits that hold as YAML';
  static override description =
    'For another profile, or another project: rate-limits import takes it over. Whether requests are counted at all is not in it.';
  static override examples = ['<%= config.bin %> admin config rate-limits export > limits.yaml'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    const { limitsYaml } = await import('../../../../lib/app/config/rate-limit-file.ts');
    const { rate_limits: limits } = await this.context.profile();
    return { type: 'copy_paste_text', content: limitsYaml(limits), language: 'yaml' };
  }
}
