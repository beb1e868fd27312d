import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../../../entry/cli/base-command.ts';
import { changed } from '../../../../../entry/cli/config-change.ts';
import { corsOrigins } from '../../../../../entry/cli/config-section.ts';
import type { Artifact } from '../../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../../lib/shared/command.ts';

export default class AddCors extends BaseCommand<typeof AddCors> {
  static override summary = 'Let the pages of a site call the API';
  static override examples = ['<%= config.bin %> admin config server cors add http://localhost:5173'];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    origin: argument({
      required: true,
      ignoreStdin: true,
      description: 'Scheme, host and port (http://localhost:5173)',
    }),
  };
  static override flags = {
    'dry-run': boolean({ summary: 'Only check it and show what would change' }),
  };

  protected async execute(): Promise<Artifact> {
    const origins = await corsOrigins(this.context);
    const { origin } = this.args;
    const value = origins.includes(origin) ? origins : [...origins, origin];
    const path = ['server', 'cors_allowed_origins'];
    return await changed(this.context, this.output, [{ path, value }], this.flags['dry-run'] === true);
  }
}
