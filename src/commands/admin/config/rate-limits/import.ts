import { resolve } from 'node:path';
import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { changedWhenConfirmed } from '../../../../entry/cli/config-change.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ImportRateLimits extends BaseCommand<typeof ImportRateLimits> {
  static override summary = 'Take over rate limits from a file';
  static override description =
    'The file is what rate-limits export prints. What it does not say stays as it is; all of it is checked before anything is written.';
  static override examples = [
    '<%= config.bin %> admin config rate-limits import limits.yaml --dry-run',
    '<%= config.bin %> admin config rate-limits import limits.yaml --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    file: argument({ required: true, ignoreStdin: true, description: 'YAML with the section rate_limits' }),
  };
  static override flags = {
    yes: boolean({ char: 'y', summary: 'Do it without being asked' }),
    'dry-run': boolean({ summary: 'Only check it and show what would change' }),
  };

  protected async execute(): Promise<Artifact> {
    const { changesOfFile } = await import('../../../../lib/app/config/rate-limit-file.ts');
    const changes = await changesOfFile(resolve(this.context.options.cwd, this.args.file));
    return await changedWhenConfirmed(this.context, this.output, changes, { id: this.ctor.id, flags: this.flags });
  }
}
