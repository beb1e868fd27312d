import { textArtifact } from 'systemprompt';
import { defineTool } from 'systemprompt/mcp';
import { z } from 'zod';
import { artifactId, keywords, slug, writingSkills } from '../fields.ts';
import { requireProvider } from '../providers.ts';
import { skillFor } from '../skills.ts';

export const createBlogPost = defineTool({
  name: 'create_blog_post',
  title: 'Write a post',
  description:
    'Writes a post by a skill, from research where there is some. Needs a key of a model provider; to write it yourself use the prompt write_post.',
  input: z.strictObject({
    skill_id: z.enum(writingSkills).describe('How to write'),
    slug,
    description: z.string().trim().min(10).max(500).describe('What it says, for lists and search engines'),
    keywords: keywords.default([]),
    instructions: z.string().trim().min(1).max(10_000).describe('What to write'),
    category: z.string().trim().min(1).max(50).default('article'),
    artifact_id: artifactId.optional().describe('The research that it is made from'),
  }),
  output: textArtifact,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  examples: [
    {
      input: {
        skill_id: 'blog_writing',
        slug: 'my-first-post',
        description: 'Why we write at all, in four parts',
        instructions: 'Four parts, with an example each',
      },
    },
  ],
  async handler({ skill_id }, context) {
    await context.progress(0, 3, 'reading the skill');
    await skillFor(context, skill_id);
    return requireProvider(context, 'text');
  },
});
