import { z } from 'zod';

export const writingSkills = [
  'blog_writing',
  'technical_content_writing',
  'announcement_writing',
  'guide_writing',
] as const;

export const topic = z.string().trim().min(3).max(500);

export const slug = z
  .string()
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'lower-case words with dashes between them, such as my-first-post')
  .max(100)
  .describe('The last part of its address');

export const keywords = z.array(z.string().trim().min(1).max(80)).max(20);

export const artifactId = z.string().regex(/^[\w-]{1,100}$/);
