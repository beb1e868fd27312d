import { string as argument } from '@oclif/core/args';
import { boolean, option } from '@oclif/core/flags';
import { askSelect, canAsk } from '../../../entry/cli/ask.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { syncTable } from '../../../entry/cli/views/sync.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import { artifactText } from '../../../lib/shared/artifact-text.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { AnswerNeededError, CancelledError } from '../../../lib/shared/errors.ts';

const kinds = ['mcp', 'agents', 'skills', 'content', 'all'] as const;
const directions = ['to-db', 'to-disk'] as const;
const strategies = ['ours', 'theirs', 'merge'] as const;
type Strategy = (typeof strategies)[number];
type Kind = (typeof kinds)[number];

const id = 'cloud:sync:local';

export default class SyncLocal extends BaseCommand<typeof SyncLocal> {
  static override summary = 'Bring files and database of a kind together';
  static override description =
    'Compares each file of services/ with the database and with what both last had in common. What one side alone has ' +
    'changed follows it, in the direction that is asked for. Where both have, nothing is done until a strategy decides: ' +
    'ours (the files win), theirs (the database wins) or merge (line by line). What loses stays as a version.';
  static override examples = [
    '<%= config.bin %> cloud sync local skills --direction to-db --dry-run',
    '<%= config.bin %> cloud sync local all --direction to-disk --strategy merge --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = {
    kind: argument({
      required: true,
      ignoreStdin: true,
      options: [...kinds],
      description: 'What to sync: a folder of services/, or all of it',
    }),
  };
  static override flags = {
    direction: option({ options: directions })({ summary: 'Which side follows the other' }),
    strategy: option({ options: strategies })({ summary: 'Who wins where both sides have changed' }),
    'dry-run': boolean({ summary: 'Show what would be done, and change nothing' }),
    yes: boolean({ char: 'y', summary: 'Overwrite and delete without asking' }),
  };
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { flags, output } = this;
    const { session } = output;
    const kind = this.args.kind as Kind;
    const direction =
      flags.direction ??
      ((await askSelect(
        {
          message: 'Which side follows the other?',
          flag: '--direction',
          command: id,
          choices: [
            { value: 'to-db', label: 'The database follows the files' },
            { value: 'to-disk', label: 'The files follow the database' },
          ],
        },
        session,
      )) as (typeof directions)[number]);
    const { syncLocal } = await import('../../../lib/app/sync/sync.ts');
    const instance = await this.context.instance();
    const database = await this.context.database();
    const { userName: by } = await this.context.currentActor();
    const run = (strategy: Strategy | undefined, dryRun: boolean) =>
      syncLocal(instance, database, { kind, direction, strategy, dryRun, by });

    let { strategy } = flags;
    let plan = await run(strategy, true);
    if (flags['dry-run']) return syncTable(plan, true);
    const contested = () => plan.steps.some((step) => step.kind === 'conflict');
    if (contested() && canAsk(session)) {
      output.note(artifactText(syncTable(plan, false), { width: session.width }));
      strategy = await this.#askStrategy();
      plan = await run(strategy, true);
    }
    if (contested()) {
      const paths = plan.steps.filter((step) => step.kind === 'conflict').map(({ path }) => path);
      const what = paths.length === 1 ? `${paths[0]} has` : `${paths.length} files have`;
      this.verdict = new AnswerNeededError(
        strategy === 'merge'
          ? `${what} changes in the same lines on both sides`
          : `${what} changed on both sides since they were the same`,
        {
          hint:
            'Nothing was done. Choose who wins: --strategy ours (the files), theirs (the database)' +
            `${strategy === 'merge' ? '' : ' or merge'}`,
          next: [`cloud sync local ${kind} --direction ${direction} --dry-run`],
          data: { paths },
        },
      );
      return syncTable(plan, false);
    }
    const lost = plan.steps.filter((step) => step.kind === 'delete' || (step.kind === 'write' && step.on === 'files'));
    if (lost.length > 0 && !flags.yes) {
      if (canAsk(session)) output.note(artifactText(syncTable(plan, true), { width: session.width }));
      const question = `Overwrite or delete ${lost.length === 1 ? lost[0]?.path : `${lost.length} files`}? Their content stays as a version.`;
      await confirmed({ id, effect: 'overwrites files', question }, flags, session);
    }
    return syncTable(await run(strategy, false), false);
  }

  async #askStrategy(): Promise<Strategy> {
    const answer = await askSelect(
      {
        message: 'Both sides have changed. Who wins?',
        flag: '--strategy',
        command: id,
        choices: [
          { value: 'merge', label: 'Both, line by line', hint: 'where they changed different lines' },
          { value: 'ours', label: 'The files' },
          { value: 'theirs', label: 'The database' },
          { value: 'nobody', label: 'Nobody, stop here' },
        ],
      },
      this.output.session,
    );
    if (answer === 'nobody') throw new CancelledError('Not decided, nothing was changed');
    return answer as Strategy;
  }
}
