import { textArtifact } from 'systemprompt';
import { defineTool } from 'systemprompt/mcp';
import { z } from 'zod';
import { topic } from '../fields.ts';
import { requireProvider } from '../providers.ts';
import { skillFor } from '../skills.ts';

export const generateFeaturedImage = defineTool({
  name: 'generate_featured_image',
  title: 'Make the picture of a post',
  description: 'Makes the picture that stands above a post. Needs a key of a model provider.',
  input: z.strictObject({
    skill_id: z.literal('blog_image_generation').default('blog_image_generation'),
    topic: topic.describe('What the post is about'),
    title: z.string().trim().min(1).max(200).describe('Its title'),
    summary: z.string().trim().min(1).max(2_000).describe('What it says'),
    style_hints: z.string().trim().max(500).optional().describe('How it is to look'),
    aspect_ratio: z.enum(['1:1', '16:9', '4:3']).default('16:9'),
  }),
  output: textArtifact,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  examples: [{ input: { topic: 'Caches', title: 'Why caches lie', summary: 'Three ways in which they do' } }],
  async handler({ skill_id }, context) {
    await context.progress(0, 2, 'reading the skill');
    await skillFor(context, skill_id);
    return requireProvider(context, 'image');
  },
});
