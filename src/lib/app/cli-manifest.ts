import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import type { CliArgument, CliCommand, CliFlag, CliManifest } from '../shared/cli-port.ts';
import { InternalError } from '../shared/errors.ts';
import { helpTopics } from '../shared/help-topics.ts';
import { type Permission, permissions } from '../shared/permission.ts';

const value = z.union([z.string(), z.number(), z.boolean()]);

const argument = z.object({
  name: z.string(),
  description: z.string().optional(),
  summary: z.string().optional(),
  required: z.boolean().optional(),
  hidden: z.boolean().optional(),
  multiple: z.boolean().optional(),
  options: z.array(z.string()).optional(),
  // A default may be computed, and is then an object or absent.
  default: value.optional().catch(undefined),
});

const flag = argument.extend({
  type: z.enum(['boolean', 'option']),
  char: z.string().optional(),
  env: z.string().optional(),
  helpGroup: z.string().optional(),
});

const declaration = z.object({
  effect: z.enum(['read', 'write', 'destructive']),
  permission: z.enum(permissions as [Permission, ...Permission[]]),
  needs: z.enum(['none', 'profile', 'database', 'supervisor', 'api']),
  localOnly: z.boolean().optional(),
});

const command = z.object({
  id: z.string(),
  summary: z.string().optional(),
  description: z.string().optional(),
  hidden: z.boolean().optional(),
  examples: z.array(z.string()).optional(),
  args: z.record(z.string(), argument).optional(),
  flags: z.record(z.string(), flag).optional(),
  declaration,
});

const manifest = z.object({ version: z.string(), commands: z.record(z.string(), command) });
const packageJson = z.object({
  oclif: z.object({ topics: z.record(z.string(), z.object({ description: z.string() })).optional() }),
});

/** Flags of this group belong to every command (entry/cli/base-command.ts). */
const globalGroup = 'GLOBAL';

/**
 * Reads the index of commands that the build wrote, with the declaration of each, and reads it anew when it changed.
 */
export class CliManifestFile {
  readonly #root: string;
  #read: { readonly version: number; readonly manifest: CliManifest } | undefined;

  /** @param root folder with `oclif.manifest.json` and `package.json` */
  constructor(root: string) {
    this.#root = root;
  }

  /** @throws InternalError when the file is missing or a command in it declares nothing */
  async load(): Promise<CliManifest> {
    const file = `${this.#root}/oclif.manifest.json`;
    try {
      const version = (await stat(file)).mtimeMs;
      if (this.#read?.version !== version) this.#read = { version, manifest: await this.#parse(file) };
      return this.#read.manifest;
    } catch (cause) {
      throw new InternalError('The index of commands could not be read', {
        hint: 'Build the project again: node scripts/build.mjs',
        cause,
      });
    }
  }

  async #parse(file: string): Promise<CliManifest> {
    const [index, facts] = await Promise.all([readJson(file), readJson(`${this.#root}/package.json`)]);
    const { version, commands } = manifest.parse(index);
    const { topics = {} } = packageJson.parse(facts).oclif;
    return {
      version,
      commands: Object.values(commands)
        .filter(({ hidden }) => hidden !== true)
        .map(toCommand)
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      helpTopics,
      topics: Object.fromEntries(Object.entries(topics).map(([id, topic]) => [spoken(id), topic.description])),
    };
  }
}

async function readJson(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'));
}

function spoken(id: string): string {
  return id.replaceAll(':', ' ');
}

function toCommand(entry: z.infer<typeof command>): CliCommand {
  const { localOnly, ...declared } = entry.declaration;
  return {
    name: spoken(entry.id),
    summary: entry.summary ?? entry.description?.split('\n')[0] ?? '',
    ...(entry.description === undefined ? {} : { description: entry.description }),
    ...(entry.examples === undefined ? {} : { examples: entry.examples.map(plainExample) }),
    args: Object.values(entry.args ?? {}).flatMap((arg) => (arg.hidden === true ? [] : [toArgument(arg)])),
    flags: Object.values(entry.flags ?? {}).flatMap((given) => (given.hidden === true ? [] : [toFlag(given)])),
    declaration: { ...declared, ...(localOnly === undefined ? {} : { localOnly }) },
  };
}

/** The framework's template for the program's name, filled in. */
function plainExample(example: string): string {
  return example.replaceAll('<%= config.bin %>', 'systemprompt');
}

function toArgument(entry: z.infer<typeof argument>): CliArgument {
  const description = entry.summary ?? entry.description;
  return {
    name: entry.name,
    required: entry.required === true,
    ...(description === undefined ? {} : { description }),
    ...(entry.options === undefined ? {} : { options: entry.options }),
    ...(entry.default === undefined ? {} : { default: entry.default }),
    ...(entry.multiple === true ? { multiple: true } : {}),
  };
}

function toFlag(entry: z.infer<typeof flag>): CliFlag {
  return {
    ...toArgument(entry),
    type: entry.type,
    multiple: entry.multiple === true,
    global: entry.helpGroup === globalGroup,
    ...(entry.char === undefined ? {} : { char: entry.char }),
    ...(entry.env === undefined ? {} : { env: entry.env }),
  };
}
