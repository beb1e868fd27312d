import { covers, type ListArtifact, listArtifact, NotFoundError, nearest } from 'systemprompt';
import {
  artifactView,
  type CliArgument,
  type CliCommand,
  type CliFlag,
  type CliManifest,
  defineTool,
  type ToolDefinition,
} from 'systemprompt/mcp';
import { z } from 'zod';
import { requiredPermission } from '../admission.ts';
import { cliOf } from './systemprompt.ts';

const input = z.strictObject({
  topic: z
    .string()
    .max(200)
    .optional()
    .describe('A topic such as "infra services", or one command such as "admin audit list"; all topics when left out'),
});

const description = `Describes the commands that the tool 'systemprompt' runs. Without a topic it lists the topics; with one it lists
that topic's commands with their arguments, flags, effect (read, write, destructive) and the permission that each needs.`;

export function commandsTool(): ToolDefinition {
  return defineTool({
    name: 'commands',
    title: 'Describe systemprompt commands',
    description,
    input,
    output: listArtifact,
    ui: artifactView,
    annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    async handler({ topic }, context) {
      const manifest = await cliOf(context).manifest();
      const offered = manifest.commands.filter((command) => command.declaration.localOnly !== true);
      const name = (topic ?? '').trim().replaceAll(':', ' ').replaceAll(/\s+/g, ' ');
      return name === '' ? topics(offered, manifest) : topicCommands(name, offered, context.request.scopes);
    },
  });
}

/** The topics that hold commands themselves, each with what it is for and what its commands are called. */
function topics(commands: readonly CliCommand[], manifest: CliManifest): ListArtifact {
  const groups = Map.groupBy(commands, ({ name }) => name.split(' ').slice(0, -1).join(' ') || name);
  const items = [...groups].map(([topic, members]) => {
    const about = manifest.topics[topic] ?? (members[0]?.name === topic ? members[0].summary : '');
    const names = members.map(({ name }) => name.split(' ').at(-1)).join(', ');
    return { id: topic, title: topic, summary: members[0]?.name === topic ? about : `${about} (${names})`.trim() };
  });
  items.sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const { name, summary } of manifest.helpTopics) {
    items.push({ id: `help ${name}`, title: `help ${name}`, summary: `${summary} (a page; run it as it is)` });
  }
  return { type: 'list', title: 'Topics; give one as topic to see its commands', items, count: items.length };
}

/** @throws NotFoundError with the nearest topics */
function topicCommands(topic: string, commands: readonly CliCommand[], scopes: readonly string[]): ListArtifact {
  const found = commands.filter(({ name }) => name === topic || name.startsWith(`${topic} `));
  if (found.length === 0) {
    const known = [...new Set(commands.flatMap(({ name }) => [name, name.split(' ').slice(0, -1).join(' ')]))];
    const close = nearest(
      topic,
      known.filter((name) => name !== ''),
    );
    throw new NotFoundError(`There is no topic '${topic.slice(0, 80)}'`, {
      hint: close.length > 0 ? `Did you mean: ${close.join(', ')}?` : 'Call without a topic to see all',
    });
  }
  const items = found.map((command) => describe(command, scopes));
  return { type: 'list', title: `Commands of ${topic}`, items, count: items.length };
}

function describe(command: CliCommand, scopes: readonly string[]) {
  const { name, summary, declaration } = command;
  const permission = requiredPermission(command);
  const allowed = covers(scopes, permission);
  const flags = command.flags.filter((flag) => !flag.global && flag.name !== 'yes');
  const lines = [
    summary,
    `${declaration.effect}; ${allowed ? `needs ${permission}` : `needs ${permission}, which you don't have`}`,
    ...(declaration.effect === 'destructive' ? ['give confirm: true to the tool'] : []),
    ...command.args.map((arg) => `${arg.required ? `<${arg.name}>` : `[${arg.name}]`}${about(arg)}`),
    ...flags.map((flag) => `--${flag.name}${flag.type === 'option' ? ` <${valueName(flag)}>` : ''}${about(flag)}`),
  ];
  return {
    id: name,
    title: [name, ...command.args.map((arg) => (arg.required ? `<${arg.name}>` : `[${arg.name}]`))].join(' '),
    summary: lines.filter((line) => line !== '').join('\n'),
    data: { effect: declaration.effect, permission, allowed, args: command.args, flags: flags.map(bare) },
  };
}

function about(argument: CliArgument & { readonly multiple?: boolean }): string {
  const notes = [
    ...(argument.required ? ['required'] : []),
    ...(argument.multiple === true ? ['may be repeated'] : []),
    ...(argument.default === undefined ? [] : [`default ${argument.default}`]),
  ];
  const text = [argument.description ?? '', notes.length > 0 ? `(${notes.join(', ')})` : ''].filter(
    (part) => part !== '',
  );
  return text.length === 0 ? '' : `: ${text.join(' ')}`;
}

function valueName(flag: CliFlag): string {
  return flag.options === undefined ? 'value' : flag.options.join('|');
}

/** The facts of a flag without what holds for most of them. */
function bare({ global: _, multiple, ...flag }: CliFlag) {
  return { ...flag, ...(multiple ? { multiple } : {}) };
}
