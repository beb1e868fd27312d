import { type Artifact, InternalError, tableArtifact, textArtifact, UsageError } from 'systemprompt';
import { artifactView, defineTool } from 'systemprompt/mcp';
import { z } from 'zod';
import { run } from '../cli.ts';

export const skillId = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{1,63}$/, 'lower-case letters, digits, dashes and underscores, beginning with a letter')
  .describe('Id of the skill, such as blog_writing');
const name = z.string().trim().min(1).max(200);
const description = z.string().trim().min(1).max(2_000);
/** An argument of a process has at most 128 KiB on Linux. */
const content = z
  .string()
  .trim()
  .min(1)
  .max(100_000)
  .refine((text) => Buffer.byteLength(text) <= 120_000, 'at most 120,000 bytes');
const tag = z
  .string()
  .trim()
  .regex(/^[^,]{1,50}$/, 'no comma, 50 characters at most');
const tags = z.array(tag).max(20);

/** `My skill: drafts` as `my_skill_drafts`. */
function idOf(text: string): string {
  const id = text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^[^a-z]+|_+$/g, '')
    .slice(0, 64);
  if (id.length < 2) throw new UsageError('No id can be made of this name', { hint: 'Give skill_id as well' });
  return id;
}

const given = (flag: string, value: string | undefined): string[] =>
  value === undefined ? [] : [`--${flag}=${value}`];

function as<T extends Artifact['type']>(type: T, artifact: Artifact): Extract<Artifact, { type: T }> {
  if (artifact.type !== type) throw new InternalError(`The command answered with ${artifact.type}`);
  return artifact as Extract<Artifact, { type: T }>;
}

export const listSkills = defineTool({
  name: 'list_skills',
  title: 'List skills',
  description: 'Lists the skills of this instance: id, name, whether it is offered, tags and what it is for.',
  input: z.strictObject({}),
  output: tableArtifact,
  ui: artifactView,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  examples: [{ input: {} }],
  handler: async (_input, context) => as('table', await run(context, ['core', 'skills', 'list'])),
});

export const createSkill = defineTool({
  name: 'create_skill',
  title: 'Create a skill',
  description:
    'Creates a skill: instructions for a kind of work, in a folder of services/skills/. With base_skill_id what is not given is taken from there. It fails when the id is taken; use update_skill then.',
  input: z.strictObject({
    name: name.describe('Name for people; the id is made of it'),
    description: description
      .optional()
      .describe('When to use the skill, in one sentence; needed without base_skill_id'),
    content: content.optional().describe('The instructions, in Markdown; needed without base_skill_id'),
    tags: tags.optional().describe('Words to find it by'),
    skill_id: skillId.optional(),
    base_skill_id: skillId.optional().describe('Take what is not given from this skill'),
  }),
  output: textArtifact,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  examples: [
    { input: { name: 'Blog writing', description: 'Writes posts.', content: '# Write a post', tags: ['blog'] } },
  ],
  async handler(input, context) {
    const id = input.skill_id ?? idOf(input.name);
    const words = [
      ...['core', 'skills', 'create', id, `--display-name=${input.name}`],
      ...given('description', input.description),
      ...given('instructions', input.content),
      ...given('tags', input.tags?.join(',')),
      ...given('from', input.base_skill_id),
    ];
    return as('text', await run(context, words));
  },
});

export const updateSkill = defineTool({
  name: 'update_skill',
  title: 'Change a skill',
  description: 'Changes a skill where it is written; what is not given stays as it is.',
  input: z.strictObject({
    skill_id: skillId,
    name: name.optional(),
    description: description.optional(),
    content: content.optional().describe('The whole of the new instructions'),
    tags: tags.optional().describe('All tags that it is to have'),
    enabled: z.boolean().optional().describe('Whether it is offered'),
  }),
  output: textArtifact,
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  examples: [{ input: { skill_id: 'blog_writing', enabled: false } }],
  async handler({ skill_id, enabled, ...input }, context) {
    const changes = [
      ...given('display-name', input.name),
      ...given('description', input.description),
      ...given('instructions', input.content),
      ...given('tags', input.tags?.join(',')),
      ...(enabled === undefined ? [] : [enabled ? '--enable' : '--disable']),
    ];
    if (changes.length === 0) throw new UsageError('Nothing to change was given');
    return as('text', await run(context, ['core', 'skills', 'edit', skill_id, ...changes]));
  },
});

export const syncSkills = defineTool({
  name: 'sync_skills',
  title: 'Sync skills',
  description:
    'Brings all skills of the files (services/skills/) and of the database together. Where both sides have changed nothing is done until a strategy decides. What it overwrites or deletes needs confirm: true, after the user agreed; it stays as a version.',
  input: z.strictObject({
    direction: z.enum(['to-db', 'to-disk']).default('to-db').describe('Which side follows: the database, or the files'),
    strategy: z
      .enum(['ours', 'theirs', 'merge'])
      .optional()
      .describe('Who wins: the files, the database, or both by line'),
    dry_run: z.boolean().default(false).describe('Only show what would be done'),
    confirm: z.boolean().default(false).describe('Overwrite and delete without another question'),
  }),
  output: tableArtifact,
  ui: artifactView,
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  examples: [{ input: { dry_run: true } }],
  async handler({ direction, strategy, dry_run, confirm }, context) {
    const words = ['core', 'skills', 'sync', `--direction=${direction}`, ...given('strategy', strategy)];
    if (dry_run) words.push('--dry-run');
    if (confirm) words.push('--yes');
    return as('table', await run(context, words));
  },
});
