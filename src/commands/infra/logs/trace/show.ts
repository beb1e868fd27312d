import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { moment } from '../../../../entry/cli/flags.ts';
import { traceId } from '../../../../entry/cli/log-flags.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';
import { NotFoundError, PreconditionError } from '../../../../lib/shared/errors.ts';

const lookedThroughMs = 7 * 86_400_000;

export default class TraceShow extends BaseCommand<typeof TraceShow> {
  static override summary = 'Show where the time of a tool call went';
  static override description =
    'A waterfall of what is on record: the calls of the trace, what rules, people and servers took of their time, and the ' +
    'lines that name it. The trace id is the one of the client (traceparent), else the execution id.';
  static override examples = [
    '<%= config.bin %> infra logs trace show 01930000-0000-7000-8000-000000000000',
    '<%= config.bin %> infra logs trace show 4bf92f3577b34da6a3ce929d0e0e4736 --since 30d --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override args = {
    trace: string({ required: true, ignoreStdin: true, description: 'A trace or execution id, or how one begins' }),
  };
  static override flags = {
    since: moment({ summary: 'Calls that began before are not looked through for a trace id; 7 days unless told' }),
  };

  protected async execute(): Promise<Artifact> {
    const id = traceId(this.args.trace) ?? '';
    const [{ openLogPlaces }, { traceOf }, { traceTable }, { approvalFor }] = await Promise.all([
      import('../../../../entry/cli/log-places.ts'),
      import('../../../../lib/app/logs/trace.ts'),
      import('../../../../entry/cli/views/trace.ts'),
      import('../../../../lib/app/approvals/decide.ts'),
    ]);
    const database = await this.context.database();
    const places = await openLogPlaces(this.context, []);
    const { rows } = places;
    if (rows === undefined) {
      throw new PreconditionError(places.missing ?? 'The database has no part in this', {
        next: ['infra services status'],
      });
    }
    const since = this.flags.since ?? new Date(Date.now() - lookedThroughMs);
    const approvalOf = async (approval: string) =>
      await approvalFor(database, rows.actor, approval).catch((error: unknown) => {
        // Forgotten after a while; the call says what became of it.
        if (error instanceof NotFoundError) return undefined;
        throw error;
      });
    return traceTable(await traceOf({ ...places, rows }, id, since, approvalOf), places.missing);
  }
}
