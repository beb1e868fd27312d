import type { CommandContext } from '../../lib/app/command-context.ts';
import type { Instance } from '../../lib/infra/config/instance.ts';
import { askSelect } from './ask.ts';
import type { CliSession } from './session.ts';

/** The project that a command about profiles is about. @throws PreconditionError when there is none */
export async function projectOf({ options }: CommandContext): Promise<Instance> {
  const { requireProject } = await import('../../lib/infra/config/instance.ts');
  return await requireProject(options.cwd, options.env);
}

export interface ProfileQuestion {
  /** Id of the command. */
  readonly command: string;
  readonly message: string;
}

/**
 * The profile that was named, else the one that a person chooses.
 * @throws UsageError, NotFoundError; AnswerNeededError when nobody can be asked
 */
export async function chosenProfile(
  project: Instance,
  given: string | undefined,
  question: ProfileQuestion,
  session: CliSession,
): Promise<string> {
  const { profileNames, requireProfile } = await import('../../lib/infra/config/profile.ts');
  if (given !== undefined) {
    await requireProfile(project, given);
    return given;
  }
  const choices = (await profileNames(project)).map((value) => ({ value }));
  return await askSelect({ ...question, choices, flag: '<name>' }, session);
}

/** The profile that was named, else the active one. @throws UsageError, NotFoundError */
export async function namedOrActive(
  context: CommandContext,
  project: Instance,
  given: string | undefined,
): Promise<string> {
  const { requireProfile } = await import('../../lib/infra/config/profile.ts');
  const name = given ?? (await context.activeProfile()).name;
  await requireProfile(project, name);
  return name;
}
