import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { configPath, effectiveOf, nodeAt } from '../../../entry/cli/configuration.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class GetConfig extends BaseCommand<typeof GetConfig> {
  static override summary = 'Print one value of the configuration';
  static override description = 'The value alone, for scripts; in JSON with its origin.';
  static override examples = [
    '<%= config.bin %> admin config get server.port',
    '<%= config.bin %> admin config get runtime.log_level --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override args = {
    path: string({ required: true, ignoreStdin: true, description: 'Which value (server.port)' }),
  };

  protected async execute(): Promise<Artifact> {
    const path = await configPath(this.args.path);
    const configuration = await effectiveOf(this.context);
    const value = await nodeAt(configuration, path);
    const { sourceCells, yamlText } = await import('../../../entry/cli/views/configuration.ts');
    const data = { path: this.args.path, value, ...sourceCells(configuration.sourceOf(path)) };
    return { type: 'text', content: yamlText(value), data };
  }
}
