import { z } from 'zod';
import { agentsSchema } from '../../domain/agents/index.ts';
import { aiSchema } from '../../domain/ai/index.ts';
import { contentSchema } from '../../domain/content/index.ts';
import { mcpServersSchema } from '../../domain/mcp/index.ts';
import { pluginFileSchema, pluginsSchema } from '../../domain/plugins/index.ts';
import { schedulerSchema } from '../../domain/scheduler/index.ts';
import { skillFileSchema, skillsSchema } from '../../domain/skills/index.ts';
import { webSchema } from '../../domain/web/index.ts';
import { extensionsSchema, settingsSchema } from './settings.ts';

/** What a file of `services/` can hold, by its name in the file and in the tree. */
export const sectionSchemas = {
  agents: agentsSchema,
  mcp_servers: mcpServersSchema,
  skills: skillsSchema,
  ai: aiSchema,
  content: contentSchema,
  scheduler: schedulerSchema,
  web: webSchema,
  plugins: pluginsSchema,
  extensions: extensionsSchema,
};

export type Section = keyof typeof sectionSchemas;

const sections = Object.keys(sectionSchemas) as Section[];

/** More of them are a mistake. */
export const includesMax = 500;

const includes = z
  .array(z.string().min(1).max(1024))
  .max(includesMax)
  .default([])
  .describe('Other files to read, relative to this one.');

const anySection = z.strictObject({
  includes,
  agents: agentsSchema.optional(),
  mcp_servers: mcpServersSchema.optional(),
  skills: skillsSchema.optional(),
  ai: aiSchema.optional(),
  content: contentSchema.optional(),
  scheduler: schedulerSchema.optional(),
  web: webSchema.optional(),
  plugins: pluginsSchema.optional(),
  extensions: extensionsSchema.optional(),
});

/** A file that holds sections, after its check. */
export type SectionsFile = z.output<typeof anySection> & { readonly settings?: z.output<typeof settingsSchema> };

/** What a file is, which follows from where it lies. */
export interface FileKind {
  /** Also the name of its JSON Schema, `schemas/<id>.schema.json`. */
  readonly id: string;
  /** Where such files lie. */
  readonly place: string;
  readonly schema: z.ZodType;
  /** What such a file can declare. */
  readonly declares: readonly Section[];
}

function only<S extends Section>(section: S, title: string): z.ZodType {
  return z.strictObject({ includes, [section]: sectionSchemas[section] }).describe(title);
}

const own = (id: string, section: Section, place: string, title: string): FileKind => ({
  id,
  place,
  schema: only(section, `${title} (${place}).`),
  declares: [section],
});

/** The kinds of file in `services/`. */
export const fileKinds = {
  services: {
    id: 'services',
    place: 'services/config/config.yaml',
    schema: anySection
      .extend({ settings: settingsSchema.optional() })
      .describe(
        'The beginning of the configuration (services/config/config.yaml). It can also hold what the files of the other kinds do.',
      ),
    declares: sections,
  },
  fragment: {
    id: 'fragment',
    place: 'a file that another one includes',
    schema: anySection.describe('A part of the configuration that another file includes.'),
    declares: sections,
  },
  agents: own('agents', 'agents', 'services/agents/*.yaml', 'Agents of the instance'),
  mcp: own('mcp', 'mcp_servers', 'services/mcp/*.yaml', 'MCP servers that the instance runs'),
  skill: { id: 'skill', place: 'services/skills/<id>/config.yaml', schema: skillFileSchema, declares: ['skills'] },
  ai: own('ai', 'ai', 'services/ai/config.yaml', 'Models and their providers'),
  content: own('content', 'content', 'services/content/config.yaml', 'Pages and where they are read'),
  scheduler: own('scheduler', 'scheduler', 'services/scheduler/config.yaml', 'Jobs that run by the clock'),
  web: own('web', 'web', 'services/web/config.yaml', 'The look of the site'),
  plugin: {
    id: 'plugin',
    place: 'services/plugins/<id>/config.yaml',
    schema: pluginFileSchema,
    declares: ['plugins'],
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
