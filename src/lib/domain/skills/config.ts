import { z } from 'zod';
import { saying, slug } from '../../infra/config/fields.ts';

const common = {
  name: saying('write what people call the skill').describe('Name for people.'),
  description: saying('write when to use the skill, in one sentence').describe(
    'What the skill is for and when to use it: a model chooses by this.',
  ),
  enabled: z.boolean().default(true).describe('Whether the skill is offered.'),
  tags: z.array(z.string().min(1)).default([]).describe('Words to find it by.'),
  category: z.string().min(1).optional().describe('Group that it is shown in.'),
  assigned_agents: z.array(z.string().min(1)).default([]).describe('Agents that have it, beside those that name it.'),
  mcp_servers: z.array(z.string().min(1)).default([]).describe('MCP servers whose tools it uses, by name.'),
};

/** A skill in a folder of its own: `skills/<id>/config.yaml`. */
export const skillFileSchema = z
  .strictObject({
    id: slug.optional().describe('Id of the skill, the same as its folder. Default: that name.'),
    ...common,
    file: z.string().min(1).default('index.md').describe('File of the instructions, relative to this one.'),
  })
  .describe('A skill (services/skills/<id>/config.yaml); its instructions are in the file beside it.');

/** A skill among others in one file. */
const skillSchema = z
  .strictObject({
    ...common,
    instructions: saying('write the instructions, or `!include <file>.md`').describe(
      'What the model is told: the text itself, or `!include <file>`, relative to this file.',
    ),
  })
  .describe('One skill.');

/** `skills`, by id. */
export const skillsSchema = z.record(slug, skillSchema).describe('Skills by id.');

/** One skill, complete with defaults and with the text of its instructions. */
export interface SkillConfig extends z.output<typeof skillSchema> {
  readonly id: string;
}
