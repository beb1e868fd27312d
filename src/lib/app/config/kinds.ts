import type { z } from 'zod';
import { type Section, sections } from './sections.ts';

/** What a file is, which follows from where it lies. */
export interface FileKind {
  /** Also the name of its JSON Schema, `schemas/<id>.schema.json`. */
  readonly id: string;
  /** Where such files lie. */
  readonly place: string;
  /** What such a file can declare. */
  readonly declares: readonly Section[];
  /** Made when the first such file is read: most projects have few of the kinds, and a schema takes time and memory. */
  schema(): Promise<z.ZodType>;
}

function own(id: string, section: Section, place: string, title: string): FileKind {
  const schema = async () => (await import('./schemas.ts')).onlySection(section, `${title} (${place}).`);
  return { id, place, declares: [section], schema: once(schema) };
}

/** The kinds of file in `services/`. */
export const fileKinds = {
  services: {
    id: 'services',
    place: 'services/config/config.yaml',
    declares: sections,
    schema: once(async () => (await import('./schemas.ts')).rootFile()),
  },
  fragment: {
    id: 'fragment',
    place: 'a file that another one includes',
    declares: sections,
    schema: once(async () => (await import('./schemas.ts')).includedFile()),
  },
  agents: own('agents', 'agents', 'services/agents/*.yaml', 'Agents of the instance'),
  mcp: own('mcp', 'mcp_servers', 'services/mcp/*.yaml', 'MCP servers that the instance runs'),
  skill: {
    id: 'skill',
    place: 'services/skills/<id>/config.yaml',
    declares: ['skills'],
    schema: async () => (await import('../../domain/skills/index.ts')).skillFileSchema,
  },
  ai: own('ai', 'ai', 'services/ai/config.yaml', 'Models and their providers'),
  content: own('content', 'content', 'services/content/config.yaml', 'Pages and where they are read'),
  scheduler: own('scheduler', 'scheduler', 'services/scheduler/config.yaml', 'Jobs that run by the clock'),
  web: own('web', 'web', 'services/web/config.yaml', 'The look of the site'),
  plugin: {
    id: 'plugin',
    place: 'services/plugins/<id>/config.yaml',
    declares: ['plugins'],
    schema: async () => (await import('../../domain/plugins/index.ts')).pluginFileSchema,
  },
  extensions: own('extensions', 'extensions', 'services/extensions/config.yaml', 'Extensions of this project'),
} as const satisfies Record<string, FileKind>;

const places: readonly (readonly [RegExp, FileKind])[] = [
  [/^config\/config\.yaml$/, fileKinds.services],
  [/^agents\/[^/]+\.ya?ml$/, fileKinds.agents],
  [/^mcp\/[^/]+\.ya?ml$/, fileKinds.mcp],
  [/^skills\/[^/]+\/config\.yaml$/, fileKinds.skill],
  [/^plugins\/[^/]+\/config\.yaml$/, fileKinds.plugin],
  [/^ai\/config\.yaml$/, fileKinds.ai],
  [/^content\/config\.yaml$/, fileKinds.content],
  [/^scheduler\/config\.yaml$/, fileKinds.scheduler],
  [/^web\/config\.yaml$/, fileKinds.web],
  [/^extensions\/config\.yaml$/, fileKinds.extensions],
];

/** What a file is. @param path relative to `services/` */
export function kindOf(path: string): FileKind {
  return places.find(([pattern]) => pattern.test(path))?.[1] ?? fileKinds.fragment;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
