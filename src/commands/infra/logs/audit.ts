import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { traceId } from '../../../entry/cli/log-flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class LogsAudit extends BaseCommand<typeof LogsAudit> {
  static override summary = 'Show one tool call with all that was logged of it';
  static override description =
    'Who called what by which right, the lines that name the call, and what happened to the services around it.';
  static override examples = [
    '<%= config.bin %> infra logs audit 01930000-0000-7000-8000-000000000000',
    '<%= config.bin %> infra logs audit 01930000-00 --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override args = {
    call: string({ required: true, ignoreStdin: true, description: 'An execution or trace id, or how one begins' }),
  };

  protected async execute(): Promise<Artifact> {
    const id = traceId(this.args.call) ?? '';
    const [{ openLogPlaces }, { callStory }, { storyCard }] = await Promise.all([
      import('../../../entry/cli/log-places.ts'),
      import('../../../lib/app/logs/call-story.ts'),
      import('../../../entry/cli/views/call-story.ts'),
    ]);
    const places = await openLogPlaces(this.context, []);
    return storyCard(await callStory(places, id), places.missing);
  }
}
