import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import type { CliCommand, CliFlag, CliManifest } from '../../../lib/shared/cli-port.ts';
import { NotFoundError } from '../../../lib/shared/errors.ts';
import { nearest } from '../../../lib/shared/nearest.ts';

/**
 * The commands of a topic, or one command: a tree for people, all that there is to them for programs. What lies deeper
 * than the topic's own commands is named only, so that an answer stays small however many commands there are.
 *
 * @param topic words with spaces between; empty for the whole tree
 * @throws NotFoundError with the nearest topics and commands
 */
export function commandsView(manifest: CliManifest, topic: string): TextArtifact {
  const below = (name: string): boolean => topic === '' || name === topic || name.startsWith(`${topic} `);
  const commands = manifest.commands.filter(({ name }) => below(name));
  if (commands.length === 0) throw unknownTopic(manifest, topic);
  const own = commands.filter(({ name }) => name === topic || topicOf(name) === topic);
  const topics = Map.groupBy(
    commands.filter((command) => !own.includes(command)),
    ({ name }) => topicOf(name),
  );
  return {
    type: 'text',
    content: tree(commands, manifest, topic).join('\n'),
    data: {
      topic,
      ...(manifest.topics[topic] === undefined ? {} : { description: manifest.topics[topic] }),
      commands: own.map(described),
      topics: [...topics].map(([name, members]) => ({
        name,
        description: manifest.topics[name] ?? '',
        commands: members.map((command) => ({
          name: command.name,
          summary: command.summary,
          effect: command.declaration.effect,
          permission: command.declaration.permission,
        })),
      })),
      global_flags: (commands[0]?.flags ?? []).filter((flag) => flag.global).map(flagFacts),
    },
  };
}

const topicOf = (name: string): string => name.split(' ').slice(0, -1).join(' ');

function described(command: CliCommand) {
  const { name, summary, description, args, flags, declaration, examples = [] } = command;
  return {
    name,
    summary,
    ...(description === undefined ? {} : { description }),
    effect: declaration.effect,
    permission: declaration.permission,
    needs: declaration.needs,
    local_only: declaration.localOnly === true,
    args,
    flags: flags.filter((flag) => !flag.global).map(flagFacts),
    examples,
  };
}

function flagFacts({ global: _, ...flag }: CliFlag): Omit<CliFlag, 'global'> {
  return flag;
}

/** Each word once, the commands below their topics, every line with what it stands for. */
function tree(commands: readonly CliCommand[], manifest: CliManifest, root: string): string[] {
  const lines: { depth: number; word: string; text: string }[] = [];
  const seen = new Set<string>();
  const base = root === '' ? 0 : root.split(' ').length - 1;
  for (const { name, summary } of commands) {
    const words = name.split(' ');
    for (let depth = base; depth < words.length; depth += 1) {
      const path = words.slice(0, depth + 1).join(' ');
      if (seen.has(path)) continue;
      seen.add(path);
      const text = path === name ? summary : (manifest.topics[path] ?? '');
      lines.push({ depth: depth - base, word: depth === base ? path : (words[depth] ?? ''), text });
    }
  }
  const width = Math.max(...lines.map(({ depth, word }) => 2 * depth + word.length)) + 2;
  return lines.map(({ depth, word, text }) => `${`${'  '.repeat(depth)}${word}`.padEnd(width)}${text}`.trimEnd());
}

function unknownTopic(manifest: CliManifest, topic: string): NotFoundError {
  const names = manifest.commands.map(({ name }) => name);
  const topics = names.map(topicOf).flatMap((name) => [name, topicOf(name)]);
  const known = [...new Set([...topics.filter((name) => name !== ''), ...names])];
  const close = nearest(topic, known);
  return new NotFoundError(`There is no topic or command '${topic.slice(0, 80)}'`, {
    ...(close.length === 0 ? {} : { hint: `Did you mean ${close.join(' or ')}?` }),
    next: close.length === 0 ? ['commands'] : close.map((name) => `commands ${name}`),
  });
}
