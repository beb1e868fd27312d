import type { z } from 'zod';
import type { AgentConfig } from '../../domain/agents/index.ts';
import type { McpServerYaml } from '../../domain/mcp/index.ts';
import type { PluginConfig } from '../../domain/plugins/index.ts';
import type { SkillConfig } from '../../domain/skills/index.ts';
import { slug } from '../../infra/config/fields.ts';
import { predicate } from '../../infra/config/issue-text.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { type Declarations, type Declared, issueAt, placeOf } from './declarations.ts';
import {
  defaultAi,
  defaultContent,
  defaultExtensions,
  defaultScheduler,
  defaultSettings,
  defaultWeb,
} from './defaults.ts';
import { includedPath, strayIncludes, type TextReader } from './included-text.ts';
import { Origins } from './origin.ts';

/** What the files declare, put together; what they say twice is in `issues`. */
export async function compose(declarations: Declarations, texts: TextReader) {
  const issues: ConfigIssue[] = [];
  const origins = new Origins();
  const once = <T>(kind: string, section: string, all: readonly Declared<T>[]): Declared<T>[] => {
    const firsts = withoutNamesakes(kind, all, issues);
    for (const declared of firsts) origins.mount([section, declared.name], declared);
    return firsts;
  };
  const agents = await Promise.all(
    once('agent', 'agents', declarations.named('agents')).map((agent) => withPrompt(agent, texts, issues)),
  );
  const skills = await Promise.all(
    once('skill', 'skills', declarations.named('skills')).map((skill) => withInstructions(skill, texts, issues)),
  );
  const servers: Declared<McpServerYaml>[] = once('server', 'mcp_servers', declarations.named('mcp_servers'));
  const plugins = await Promise.all(
    once('plugin', 'plugins', declarations.named('plugins')).map(async (plugin): Promise<Declared<PluginConfig>> => {
      const { pluginId } = await import('../../domain/plugins/index.ts');
      checkId(plugin, 'plugin', pluginId, issues);
      return { ...plugin, value: { ...plugin.value, id: plugin.name } };
    }),
  );
  for (const declared of [...servers, ...plugins]) issues.push(...strayIncludes(declared, []));

  const only = <T>(section: string, declared: Declared<T> | undefined, fallback: T): T => {
    if (declared === undefined) return fallback;
    issues.push(...strayIncludes(declared, []));
    origins.mount([section], declared);
    return declared.value;
  };
  const extensions = declarations.whole('extensions');
  withoutNamesakes('section', extensions, issues);
  return {
    agents,
    skills,
    servers,
    plugins,
    ai: merged('ai', declarations.whole('ai'), defaultAi, { providers: 'provider' }, { origins, issues }),
    content: merged(
      'content',
      declarations.whole('content'),
      defaultContent,
      { content_sources: 'content source', categories: 'category' },
      { origins, issues },
    ),
    settings: only('settings', declarations.whole('settings')[0], defaultSettings),
    scheduler: only('scheduler', declarations.whole('scheduler')[0], defaultScheduler),
    web: only('web', declarations.whole('web').at(-1), defaultWeb),
    extensions: only('extensions', extensions[0], defaultExtensions),
    origins,
    issues,
  };
}

export type Composed = Awaited<ReturnType<typeof compose>>;

/** The first of each name; the others are findings. */
function withoutNamesakes<T>(kind: string, all: readonly Declared<T>[], issues: ConfigIssue[]): Declared<T>[] {
  const firsts = new Map<string, Declared<T>>();
  for (const declared of all) {
    const first = firsts.get(declared.name);
    if (first === undefined) {
      firsts.set(declared.name, declared);
      continue;
    }
    const message = `the ${kind} ${declared.name} is also in ${placeOf(first)}`;
    const whole = kind === 'section' || kind === 'field';
    issues.push(issueAt(declared, [], message, whole ? 'keep one of them' : 'give one of them another name', 'key'));
  }
  return [...firsts.values()];
}

async function withPrompt(
  agent: Declared<Omit<AgentConfig, 'name'> & { readonly name?: string | undefined }>,
  texts: TextReader,
  issues: ConfigIssue[],
): Promise<Declared<AgentConfig>> {
  const { name, value } = agent;
  if (value.name !== undefined && value.name !== name) {
    issues.push(
      issueAt(agent, ['name'], `the name differs from the agent's key ${name}`, `write ${name}, or leave it out`),
    );
  }
  const within = ['metadata', 'system_prompt'];
  issues.push(...strayIncludes(agent, within));
  const { system_prompt: prompt, ...metadata } = value.metadata;
  const path = prompt === undefined ? undefined : includedPath(prompt);
  const text = path === undefined ? prompt : await texts.read(agent, within, path);
  return {
    ...agent,
    value: { ...value, name, metadata: { ...metadata, ...(text === undefined ? {} : { system_prompt: text }) } },
  };
}

async function withInstructions(
  skill: Declared,
  texts: TextReader,
  issues: ConfigIssue[],
): Promise<Declared<SkillConfig>> {
  checkId(skill, 'skill', slug, issues);
  // In a folder of its own it names the file; among others it has the text, or includes it.
  const {
    id: _,
    file,
    ...value
  } = skill.value as Omit<SkillConfig, 'id'> & { readonly id?: string; readonly file?: string };
  issues.push(...strayIncludes(skill, ['instructions']));
  const path = file ?? includedPath(value.instructions);
  const within = file === undefined ? ['instructions'] : ['file'];
  const instructions = path === undefined ? value.instructions : await texts.read(skill, within, path);
  return { ...skill, value: { ...value, id: skill.name, instructions } };
}

/** What is in a folder of its own has the folder's name. */
function checkId(declared: Declared, kind: string, names: z.ZodType, issues: ConfigIssue[]): void {
  const { id } = declared.value as { readonly id?: string };
  const well = names.safeParse(declared.name, { error: predicate });
  if (!well.success) {
    const message = `the name of the ${kind}'s folder ${well.error.issues[0]?.message}`;
    issues.push(issueAt(declared, [], message, 'rename the folder'));
  }
  if (id === undefined || id === declared.name) return;
  issues.push(
    issueAt(
      declared,
      ['id'],
      `the id differs from the ${kind}'s folder ${declared.name}`,
      `write ${declared.name}, or leave it out`,
    ),
  );
}

/**
 * One block of several: maps get the entries of all, and every other field is that of the only block that has it.
 * @param maps the fields that are maps of things with names, and what such a thing is called
 */
function merged<B extends Readonly<Record<string, unknown>>>(
  section: string,
  blocks: readonly Declared<B>[],
  fallback: B,
  maps: Readonly<Partial<Record<keyof B & string, string>>>,
  { origins, issues }: { readonly origins: Origins; readonly issues: ConfigIssue[] },
): B {
  const [first] = blocks;
  if (first === undefined) return fallback;
  for (const block of blocks) issues.push(...strayIncludes(block, []));
  origins.mount([section], first);
  const fields = new Set(blocks.flatMap(({ value }) => Object.keys(value)));
  const pairs = [...fields].map((field): [string, unknown] => {
    const parts = blocks.map((block): Declared => within(block, field)).filter(({ yaml, path }) => yaml.has(path));
    const kind = maps[field];
    if (kind !== undefined) {
      const entries = parts.flatMap((part) => Object.keys(part.value as object).map((name) => within(part, name)));
      const firsts = withoutNamesakes(kind, entries, issues);
      for (const entry of firsts) origins.mount([section, field, entry.name], entry);
      return [field, Object.fromEntries(firsts.map(({ name, value }) => [name, value]))];
    }
    const [only] = withoutNamesakes('field', parts, issues);
    if (only !== undefined) origins.mount([section, field], only);
    return [field, only?.value ?? first.value[field]];
  });
  return Object.fromEntries(pairs) as B;
}

function within({ value, path, ...block }: Declared, name: string): Declared {
  return { ...block, name, value: (value as Readonly<Record<string, unknown>>)[name], path: [...path, name] };
}
