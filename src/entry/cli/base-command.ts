import { Command } from '@oclif/core/command';
import type { Config } from '@oclif/core/config';
import { boolean, string } from '@oclif/core/flags';
import type { InferredArgs, InferredFlags, LoadOptions } from '@oclif/core/interfaces';
import { CommandContext } from '../../lib/app/command-context.ts';
import type { Artifact } from '../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../lib/shared/command.ts';
import { type AppError, DatabaseUnavailableError } from '../../lib/shared/errors.ts';
import type { CliConfig } from './command-index.ts';
import { confirmDestruction } from './confirm.ts';
import { admitDelegate } from './delegation.ts';
import { exitCodeOf } from './exit.ts';
import type { Output } from './output/output.ts';

const helpGroup = 'GLOBAL';

/** Flags that every command has. Their values are read before the parser runs (session.ts); here they are declared. */
const globalFlags = {
  json: boolean({
    helpGroup,
    summary: 'Print the result as JSON, and nothing else (also SYSTEMPROMPT_OUTPUT_FORMAT=json)',
  }),
  'non-interactive': boolean({
    helpGroup,
    env: 'SYSTEMPROMPT_NON_INTERACTIVE',
    summary: 'Never ask; fail and name the flag instead (implied in a pipeline and for an agent)',
  }),
  interactive: boolean({ helpGroup, summary: 'Ask at the terminal, though this looks like a pipeline or an agent' }),
  profile: string({ helpGroup, env: 'SYSTEMPROMPT_PROFILE', helpValue: '<name>', summary: 'Use this profile' }),
  'no-color': boolean({ helpGroup, summary: 'Print without colours (also NO_COLOR)' }),
  debug: boolean({ helpGroup, env: 'SYSTEMPROMPT_DEBUG', summary: 'Show where an error came from' }),
};

type FlagsOf<T extends typeof Command> = InferredFlags<typeof globalFlags & T['flags']>;
type ArgsOf<T extends typeof Command> = InferredArgs<T['args']>;

/**
 * The base of every command. A subclass declares what it does to the system and who may run it, and returns an artifact;
 * printing, errors, exit codes and questions are done here and in main.ts, the same for all.
 */
export abstract class BaseCommand<T extends typeof Command> extends Command {
  static override baseFlags = globalFlags;
  /** Read from the manifest by the MCP tool and the documentation as well; every command has one. */
  static declaration: CommandDeclaration;

  protected flags!: FlagsOf<T>;
  protected args!: ArgsOf<T>;
  protected context!: CommandContext;
  /** The exit code of a run that returned an artifact: of a command that a signal has ended as it should. */
  protected exitStatus = 0;
  /** Set by a command that did its work and found something bad: the artifact is shown, then this error. */
  protected verdict: AppError | undefined;

  /** A destructive command that first finds out what it would do, shows it, and calls {@link confirmed} itself. */
  protected readonly confirmsItself: boolean = false;

  /** A command that root may run in the project of somebody else, and that looks for the profile there itself. */
  protected readonly findsProfileItself: boolean = false;

  /** Does the work. Errors are thrown, never printed. */
  protected abstract execute(): Promise<Artifact>;

  protected get output(): Output {
    return (this.config as CliConfig).output;
  }

  /**
   * Runs the command under the configuration that is loaded already; the framework's own `run` would load it again.
   * What goes wrong is shown by main(), once.
   */
  static override async run<C extends Command>(
    this: new (
      argv: string[],
      config: Config,
    ) => C,
    argv: string[] = [],
    config?: LoadOptions,
  ): Promise<ReturnType<C['run']>> {
    const command = new this(argv, config as Config);
    return await command.run();
  }

  override async run(): Promise<number> {
    const { output } = this;
    const { session } = output;
    const declaration = (this.ctor as typeof BaseCommand<T>).declaration;
    const parsed = await this.parse({
      flags: this.ctor.flags,
      baseFlags: globalFlags,
      args: this.ctor.args,
      strict: this.ctor.strict,
    });
    this.flags = parsed.flags as FlagsOf<T>;
    this.args = parsed.args as ArgsOf<T>;
    await using context = new CommandContext({ cwd: session.cwd, env: session.env, profile: session.profile });
    this.context = context;
    if (!this.findsProfileItself) await context.requireKnownProfile();
    if (session.delegated) context.actor = await admitDelegate(this.ctor.id, declaration, context, session.env);
    if (declaration.effect === 'destructive' && !this.confirmsItself)
      await confirmDestruction(this.ctor.id, parsed.flags, session);
    const artifact = await this.execute().catch(async (error: unknown) => {
      throw await nothingRuns(error, context);
    });
    const { verdict } = this;
    if (verdict === undefined) output.result(artifact);
    else output.finding(artifact, verdict);
    if (!session.delegated) await context.renewSession();
    return verdict === undefined ? this.exitStatus : exitCodeOf(verdict);
  }
}

/** That the database's socket is not there, in words about the system: nobody has started it. Other errors as they are. */
async function nothingRuns(error: unknown, context: CommandContext): Promise<unknown> {
  if (!(error instanceof DatabaseUnavailableError) || error.data['reason'] !== 'refused') return error;
  if ((await context.profile()).database.url !== undefined) return error;
  if ((await context.runningStatus()) !== undefined) return error;
  return new DatabaseUnavailableError('Nothing is running, so there is no database to ask', {
    hint: 'Start it first',
    next: ['infra services start'],
    data: error.data,
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  });
}
