import { z } from 'zod';
import type { agentsSchema } from '../../domain/agents/index.ts';
import type { aiSchema } from '../../domain/ai/index.ts';
import type { contentSchema } from '../../domain/content/index.ts';
import type { mcpServersSchema } from '../../domain/mcp/index.ts';
import type { pluginsSchema } from '../../domain/plugins/index.ts';
import type { schedulerSchema } from '../../domain/scheduler/index.ts';
import type { skillsSchema } from '../../domain/skills/index.ts';
import type { webSchema } from '../../domain/web/index.ts';
import { type Section, sections } from './sections.ts';
import type { extensionsSchema, settingsSchema } from './settings.ts';

interface SectionSchemas {
  readonly agents: typeof agentsSchema;
  readonly mcp_servers: typeof mcpServersSchema;
  readonly skills: typeof skillsSchema;
  readonly ai: typeof aiSchema;
  readonly content: typeof contentSchema;
  readonly scheduler: typeof schedulerSchema;
  readonly web: typeof webSchema;
  readonly plugins: typeof pluginsSchema;
  readonly extensions: typeof extensionsSchema;
}

/** A file that holds sections, after its check. */
export type SectionsFile = { readonly [S in Section]?: z.output<SectionSchemas[S]> } & {
  readonly settings?: z.output<typeof settingsSchema>;
};

const load: { readonly [S in Section]: () => Promise<SectionSchemas[S]> } = {
  agents: async () => (await import('../../domain/agents/index.ts')).agentsSchema,
  mcp_servers: async () => (await import('../../domain/mcp/index.ts')).mcpServersSchema,
  skills: async () => (await import('../../domain/skills/index.ts')).skillsSchema,
  ai: async () => (await import('../../domain/ai/index.ts')).aiSchema,
  content: async () => (await import('../../domain/content/index.ts')).contentSchema,
  scheduler: async () => (await import('../../domain/scheduler/index.ts')).schedulerSchema,
  web: async () => (await import('../../domain/web/index.ts')).webSchema,
  plugins: async () => (await import('../../domain/plugins/index.ts')).pluginsSchema,
  extensions: async () => (await import('./settings.ts')).extensionsSchema,
};

/** More of them are a mistake. */
const includesMax = 500;

const includes = z
  .array(z.string().min(1).max(1024))
  .max(includesMax)
  .default([])
  .describe('Other files to read, relative to this one.');

/** A file in the folder of its kind. @param title what it holds */
export async function onlySection(section: Section, title: string): Promise<z.ZodType> {
  return z.strictObject({ includes, [section]: await load[section]() }).describe(title);
}

/** A file that another one includes: any of the sections. */
export async function includedFile(): Promise<z.ZodType> {
  return (await anySection()).describe('A part of the configuration that another file includes.');
}

/** `config/config.yaml`. */
export async function rootFile(): Promise<z.ZodType> {
  const { settingsSchema } = await import('./settings.ts');
  return (await anySection())
    .extend({ settings: settingsSchema.optional() })
    .describe(
      'The beginning of the configuration (services/config/config.yaml). It can also hold what the files of the other kinds do.',
    );
}

async function anySection() {
  const all = await Promise.all(
    sections.map(async (section) => [section, (await load[section]()).optional()] as const),
  );
  return z.strictObject({ includes, ...Object.fromEntries(all) });
}
