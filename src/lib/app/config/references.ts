import { quoted } from '../../infra/config/quoted.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import type { Composed } from './compose.ts';
import { type Declarations, type Declared, issueAt } from './declarations.ts';
import { isSecretByShape } from './literal-secrets.ts';
import type { ConfigPath, Origin } from './types.ts';

/** What is referred to by name, and what messages call it. */
const kinds = {
  agent: ['agents'],
  'MCP server': ['mcp_servers'],
  skill: ['skills'],
  provider: ['ai', 'providers'],
  'content source': ['content', 'content_sources'],
  category: ['content', 'categories'],
} as const;

type Kind = keyof typeof kinds;

/** What is named must be there, be it enabled or not. */
export function unknownReferences(composed: Composed, declarations: Declarations): ConfigIssue[] {
  const check = new References(declarations);
  for (const agent of composed.agents) agentReferences(agent, check);
  for (const skill of composed.skills) {
    check.list(skill, ['assigned_agents'], skill.value.assigned_agents, 'agent');
    check.list(skill, ['mcp_servers'], skill.value.mcp_servers, 'MCP server');
  }
  for (const plugin of composed.plugins) {
    const { skills, agents, mcp_servers: servers, content_sources: sources } = plugin.value;
    for (const list of ['include', 'exclude'] as const) {
      check.list(plugin, ['skills', list], skills[list], 'skill');
      check.list(plugin, ['agents', list], agents[list], 'agent');
    }
    check.list(plugin, ['mcp_servers'], servers, 'MCP server');
    check.list(plugin, ['content_sources'], sources, 'content source');
  }
  const { ai, content, origins } = composed;
  const at = (...path: string[]) => origins.originOf(path);
  check.one(at('ai', 'default_provider'), ai.default_provider, 'provider');
  for (const [tool, choice] of Object.entries(ai.tool_models)) {
    check.one(at('ai', 'tool_models', tool, 'provider'), choice.provider, 'provider');
  }
  for (const [name, source] of Object.entries(content.content_sources)) {
    check.one(at('content', 'content_sources', name, 'category_id'), source.category_id, 'category');
  }
  return check.issues;
}

function agentReferences(agent: Composed['agents'][number], check: References): void {
  const { metadata } = agent.value;
  check.list(agent, ['metadata', 'mcp_servers'], metadata.mcp_servers, 'MCP server');
  check.list(agent, ['metadata', 'skills'], metadata.skills, 'skill');
  check.value(agent, ['metadata', 'provider'], metadata.provider, 'provider');
  for (const [name, tools] of Object.entries(metadata.tool_model_overrides)) {
    const path = ['metadata', 'tool_model_overrides', name];
    check.value(agent, path, name, 'MCP server', 'key');
    for (const [tool, { provider }] of Object.entries(tools)) {
      check.value(agent, [...path, tool, 'provider'], provider, 'provider');
    }
  }
}

class References {
  readonly issues: ConfigIssue[] = [];
  readonly #names: Readonly<Record<Kind, ReadonlySet<string> | undefined>>;

  constructor(declarations: Declarations) {
    const entries = Object.entries(kinds).map(([kind, [section, inner]]) => [
      kind,
      declarations.namesOf(section, inner),
    ]);
    this.#names = Object.fromEntries(entries);
  }

  list(declared: Declared, path: ConfigPath, names: readonly string[], kind: Kind): void {
    for (const [index, name] of names.entries()) this.value(declared, [...path, index], name, kind);
  }

  value(
    declared: Declared,
    path: ConfigPath,
    name: string | undefined,
    kind: Kind,
    at: 'key' | 'value' = 'value',
  ): void {
    const fault = this.#fault(name, kind);
    if (fault !== undefined) this.issues.push(issueAt(declared, path, fault.message, fault.hint, at));
  }

  one(origin: Origin | undefined, name: string | undefined, kind: Kind): void {
    const fault = this.#fault(name, kind);
    if (fault !== undefined && origin !== undefined) this.issues.push({ ...origin, ...fault });
  }

  #fault(name: string | undefined, kind: Kind): { readonly message: string; readonly hint: string } | undefined {
    const names = this.#names[kind];
    if (name === undefined || names === undefined || names.has(name)) return undefined;
    // A message quotes names, and a secret is none.
    if (isSecretByShape(name)) return { message: `this is the name of no ${kind}`, hint: 'write a name' };
    const all = [...names].sort();
    const [meant] = nearest(name, all, 1);
    const listed = all.length === 0 ? `no ${kind} is configured` : `there is: ${all.slice(0, 20).join(', ')}`;
    return {
      message: `there is no ${kind} ${quoted(name)}`,
      hint: meant === undefined ? listed : `did you mean \`${meant}\`?`,
    };
  }
}
