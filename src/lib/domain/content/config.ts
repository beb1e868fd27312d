import { z } from 'zod';
import { slug } from '../../infra/config/fields.ts';

const changeFrequency = z.enum(['always', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'never']);
const priority = z.number().min(0).max(1);
const urlPath = z.string().regex(/^\/\S*$/, 'must be a path that begins with /');

/** Sitemap fields by sitemaps.org/protocol. */
const sitemap = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether its pages are in the sitemap.'),
    url_pattern: urlPath.optional().describe('Address of a page, with `{slug}` in it.'),
    priority: priority.default(0.5).describe('Priority among the pages of the site.'),
    changefreq: changeFrequency.default('weekly').describe('How often pages change.'),
    fetch_from: z.enum(['database', 'files']).default('database').describe('Where the pages are read.'),
    parent_route: z
      .strictObject({
        enabled: z.boolean().default(true).describe('Whether the overview is in the sitemap.'),
        url: urlPath.describe('Address of the overview.'),
        priority: priority.default(0.5).describe('Its priority.'),
        changefreq: changeFrequency.default('weekly').describe('How often it changes.'),
      })
      .optional()
      .describe('The overview of the pages.'),
  })
  .optional()
  .describe('What the sitemap says of it.');

const source = z
  .strictObject({
    path: z.string().min(1).describe('Folder of the Markdown files, relative to `services/`.'),
    source_id: slug.optional().describe('Id in the database. Default: its key.'),
    category_id: slug.optional().describe('Category of its pages, by its key in `categories`.'),
    enabled: z.boolean().default(true).describe('Whether it is read.'),
    description: z.string().default('').describe('What it holds.'),
    allowed_content_types: z
      .array(z.string().min(1))
      .default([])
      .describe('Kinds of page that it may hold. None: all.'),
    indexing: z
      .strictObject({
        clear_before: z.boolean().default(false).describe('Whether what was indexed before is removed first.'),
        recursive: z.boolean().default(true).describe('Whether folders in it are read too.'),
        override_existing: z
          .boolean()
          .default(false)
          .describe('Whether pages that are in the database are written over.'),
      })
      .prefault({})
      .describe('How it is indexed.'),
    sitemap,
    branding: z
      .strictObject({
        name: z.string().min(1).optional().describe('Name of this part of the site.'),
        description: z.string().min(1).optional().describe('What it is about.'),
        image: z.string().min(1).optional().describe('Picture for previews.'),
        keywords: z.string().min(1).optional().describe('Words to find it by.'),
      })
      .prefault({})
      .describe('How it presents itself.'),
  })
  .describe('One source of pages.');

/** `content`. */
export const contentSchema = z
  .strictObject({
    content_sources: z.record(slug, source).default({}).describe('Sources of pages by name.'),
    categories: z
      .record(
        slug,
        z
          .strictObject({
            name: z.string().min(1).describe('Name for people.'),
            description: z.string().default('').describe('What belongs in it.'),
          })
          .describe('One category.'),
      )
      .default({})
      .describe('Categories by id.'),
    metadata: z
      .strictObject({
        default_author: z.string().min(1).optional().describe('Author of pages that name none.'),
        language: z
          .string()
          .regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language tag such as en or de-AT')
          .default('en')
          .describe('Language of the pages (BCP 47).'),
      })
      .prefault({})
      .describe('What holds for all pages.'),
  })
  .describe('Pages and where they are read.');

export type ContentConfig = z.output<typeof contentSchema>;
