import { defineMcpServer } from 'systemprompt/mcp';
import { writePost } from './prompts/write-post.ts';
import { skillText } from './templates/skill.ts';
import { createBlogPost } from './tools/create-blog-post.ts';
import { generateFeaturedImage } from './tools/generate-featured-image.ts';
import { researchBlog } from './tools/research-blog.ts';

/** Posts from research to picture. What a model does needs a key; the brief of a post and the skills need none. */
export const server = defineMcpServer({
  name: 'content-manager',
  title: 'Content manager',
  version: '0.1.0',
  description: 'Researches, writes and illustrates posts',
  instructions:
    'research_blog, then create_blog_post, then generate_featured_image. Where a key is missing the tools say which; the prompt write_post needs none: it gives you the brief to write by.',
  tools: [researchBlog, createBlogPost, generateFeaturedImage],
  prompts: [writePost],
  resourceTemplates: [skillText],
});
