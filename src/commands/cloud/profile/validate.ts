import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { namedOrActive, projectOf } from '../../../entry/cli/profile-names.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { ConfigInvalidError, UsageError } from '../../../lib/shared/errors.ts';

export default class ValidateProfile extends BaseCommand<typeof ValidateProfile> {
  static override summary = 'Check a profile, or all of them';
  static override description =
    'Every finding with its file, line and column, and what to write instead. The active profile unless one is named.';
  static override examples = [
    '<%= config.bin %> cloud profile validate',
    '<%= config.bin %> cloud profile validate --all --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'none' };
  static override args = { name: argument({ ignoreStdin: true, description: 'The profile' }) };
  static override flags = { all: boolean({ summary: 'Check every profile of the project' }) };

  protected async execute(): Promise<Artifact> {
    const { name } = this.args;
    if (this.flags.all && name !== undefined) {
      throw new UsageError('--all and the name of a profile exclude each other', {
        next: ['cloud profile validate --help'],
      });
    }
    const project = await projectOf(this.context);
    const { profileNames } = await import('../../../lib/infra/config/profile.ts');
    const { profileFindings } = await import('../../../lib/app/profiles/overview.ts');
    const names = this.flags.all ? await profileNames(project) : [await namedOrActive(this.context, project, name)];
    const found = await Promise.all(names.map((each) => profileFindings(project, each)));
    const issues = found.flat();
    if (issues.length > 0) throw new ConfigInvalidError(issues);
    const content = names.length === 1 ? `The profile ${names[0]} is valid` : `All ${names.length} profiles are valid`;
    return { type: 'text', content, data: { profiles: names, valid: true } };
  }
}
