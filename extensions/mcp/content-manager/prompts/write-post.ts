import { definePrompt } from 'systemprompt/mcp';
import { z } from 'zod';
import { slug, topic, writingSkills } from '../fields.ts';
import { skillFor } from '../skills.ts';

export const writePost = definePrompt({
  name: 'write_post',
  title: 'Write a post',
  description: 'The brief of a post for the model of your client: the skill, the topic and the form. Needs no key.',
  arguments: z.object({
    topic: topic.describe('What the post is about'),
    skill_id: z.enum(writingSkills).default('blog_writing').describe('How to write'),
    slug: slug.optional(),
  }),
  complete: { skill_id: (typed) => writingSkills.filter((id) => id.startsWith(typed)) },
  async handler({ topic: about, skill_id, slug: address }, context) {
    const { instructions } = await skillFor(context, skill_id);
    return [
      instructions.trim(),
      `Write a post about: ${about}`,
      'Begin with front matter in YAML: title, slug, description (160 characters at most), keywords (a list), category.',
      ...(address === undefined ? [] : [`The slug is ${address}.`]),
      'Then the text in Markdown. State nothing that you have no source for; name the source where you have one.',
    ].join('\n\n');
  },
});
