import { boolean, string } from '@oclif/core/flags';
import type { CommandContext } from '../../lib/app/command-context.ts';
import type { ChangeContext } from '../../lib/app/config/change.ts';
import type { SkillFields } from '../../lib/app/skills/skills.ts';

/** What of a skill is given on the command line. */
export const skillFlags = {
  'display-name': string({ helpValue: '<text>', summary: 'Name for people' }),
  description: string({ helpValue: '<text>', summary: 'When to use it, in one sentence: a model chooses by this' }),
  instructions: string({ helpValue: '<text>', summary: 'What the model is told', exclusive: ['instructions-file'] }),
  'instructions-file': string({ helpValue: '<path>', summary: 'Take the instructions from this file' }),
  tags: string({ helpValue: '<a,b>', summary: 'Words to find it by' }),
  enable: boolean({ summary: 'Offer it', exclusive: ['disable'] }),
  disable: boolean({ summary: 'Do not offer it' }),
};

interface Given {
  readonly 'display-name'?: string | undefined;
  readonly description?: string | undefined;
  readonly instructions?: string | undefined;
  readonly 'instructions-file'?: string | undefined;
  readonly tags?: string | undefined;
  readonly enable?: boolean;
  readonly disable?: boolean;
}

/** @throws UsageError when the file can't be read */
export async function skillFields(flags: Given): Promise<SkillFields> {
  const { 'display-name': name, description, tags, enable, disable } = flags;
  const file = flags['instructions-file'];
  const instructions = file === undefined ? flags.instructions : await instructionsIn(file);
  const enabled = enable === true ? true : disable === true ? false : undefined;
  const words = tags?.split(',').map((word) => word.trim());
  return { name, description, instructions, tags: words?.filter((word) => word !== ''), enabled };
}

async function instructionsIn(file: string): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { UsageError } = await import('../../lib/shared/errors.ts');
    throw new UsageError(`${file} can't be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}

/** What a change of the configuration takes. */
export async function changeContext(context: CommandContext): Promise<ChangeContext> {
  return {
    instance: await context.instance(),
    profileName: (await context.activeProfile()).name,
    env: context.options.env,
  };
}
