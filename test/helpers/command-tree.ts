import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from './cli.ts';

export interface ManifestArgument {
  readonly name: string;
  readonly description?: string;
  readonly required?: boolean;
  readonly multiple?: boolean;
  readonly options?: readonly string[];
  readonly default?: unknown;
}

export interface ManifestFlag extends ManifestArgument {
  readonly type: 'boolean' | 'option';
  readonly summary?: string;
  readonly char?: string;
  readonly env?: string;
  readonly helpValue?: string;
  readonly helpGroup?: string;
  readonly allowNo?: boolean;
  readonly hidden?: boolean;
  readonly aliases?: readonly string[];
  readonly exclusive?: readonly string[];
  readonly dependsOn?: readonly string[];
}

export interface ManifestCommand {
  readonly id: string;
  readonly summary?: string;
  readonly hidden?: boolean;
  readonly aliases?: readonly string[];
  readonly examples?: readonly string[];
  readonly args: Readonly<Record<string, ManifestArgument>>;
  readonly flags: Readonly<Record<string, ManifestFlag>>;
  readonly declaration?: {
    readonly effect: string;
    readonly permission: string;
    readonly needs: string;
    readonly localOnly?: boolean;
  };
}

/** The commands that there are, as the build wrote them down. */
export async function manifestCommands(): Promise<readonly ManifestCommand[]> {
  const text = await readFile(join(packageRoot, 'oclif.manifest.json'), 'utf8');
  return Object.values((JSON.parse(text) as { commands: Record<string, ManifestCommand> }).commands);
}

/**
 * The whole command tree as text: what a script that calls it relies on. Words for people (summaries, descriptions,
 * examples) are not in it; they may change at any time.
 */
export function commandTree(commands: readonly ManifestCommand[]): string {
  const sorted = commands.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const global = Object.values(sorted[0]?.flags ?? {}).filter(isGlobal);
  return `${['(every command)', ...global.map(flagLine), ...sorted.flatMap(commandLines)].join('\n')}\n`;
}

const isGlobal = (flag: ManifestFlag): boolean => flag.helpGroup === 'GLOBAL';

function commandLines(command: ManifestCommand): string[] {
  const { effect, permission, needs, localOnly } = command.declaration ?? {};
  const facts = [effect, permission, needs, ...(localOnly === true ? ['localOnly'] : [])];
  const hidden = command.hidden === true ? ' (hidden)' : '';
  const aliases = command.aliases?.length ? ` = ${command.aliases.join(', ')}` : '';
  return [
    '',
    `${command.id.replaceAll(':', ' ')}${aliases}${hidden}: ${facts.join(' ')}`,
    ...Object.values(command.args).map(argumentLine),
    ...Object.values(command.flags)
      .filter((flag) => !isGlobal(flag))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(flagLine),
  ];
}

function argumentLine(arg: ManifestArgument): string {
  const name = `${arg.name}${arg.multiple === true ? '...' : ''}`;
  return `  ${arg.required === true ? `<${name}>` : `[${name}]`}${choices(arg)}${preset(arg)}`;
}

function flagLine(flag: ManifestFlag): string {
  const facts = [
    ...(flag.required === true ? ['required'] : []),
    ...(flag.multiple === true ? ['repeatable'] : []),
    ...(flag.allowNo === true ? [`--no-${flag.name}`] : []),
    ...(flag.aliases?.length ? [`also ${flag.aliases.map((alias) => `--${alias}`).join(', ')}`] : []),
    ...(flag.env === undefined ? [] : [`$${flag.env}`]),
    ...(flag.exclusive?.length ? [`not with ${flag.exclusive.join(', ')}`] : []),
    ...(flag.dependsOn?.length ? [`needs ${flag.dependsOn.join(', ')}`] : []),
    ...(flag.hidden === true ? ['hidden'] : []),
  ];
  const value = flag.type === 'option' ? `=${flag.helpValue ?? '<value>'}` : '';
  const short = flag.char === undefined ? '' : `, -${flag.char}`;
  const more = facts.length === 0 ? '' : ` (${facts.join('; ')})`;
  return `  --${flag.name}${value}${short}${choices(flag)}${preset(flag)}${more}`;
}

function choices({ options }: ManifestArgument): string {
  return options === undefined ? '' : ` ${options.join('|')}`;
}

function preset(argument: ManifestArgument): string {
  const given = argument.default;
  return given === undefined || given === false ? '' : ` [${JSON.stringify(given)}]`;
}
