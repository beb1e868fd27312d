import { textArtifact } from 'systemprompt';
import { defineTool } from 'systemprompt/mcp';
import { z } from 'zod';
import { topic } from '../fields.ts';
import { requireProvider } from '../providers.ts';
import { skillFor } from '../skills.ts';

export const researchBlog = defineTool({
  name: 'research_blog',
  title: 'Research a post',
  description:
    'Searches the web for a topic and keeps what it found for create_blog_post. Needs a key of a model provider.',
  input: z.strictObject({
    skill_id: z.literal('research_blog').default('research_blog'),
    topic: topic.describe('What the post is to be about'),
    focus_areas: z.array(z.string().trim().min(1).max(200)).max(10).default([]).describe('What to look at closely'),
  }),
  output: textArtifact,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  examples: [{ input: { topic: 'Server components in 2026', focus_areas: ['latency'] } }],
  async handler({ skill_id }, context) {
    await context.progress(0, 3, 'reading the skill');
    await skillFor(context, skill_id);
    return requireProvider(context, 'search');
  },
});
