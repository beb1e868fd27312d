import { z } from 'zod';

/** What a browser would take for the end of a value has no place in one. */
const cssValue = z.string().regex(/^[^;{}<>]{1,200}$/, 'must be a CSS value without ; { } < >');
const cssName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,49}$/, 'must have lower-case letters, digits, dashes and underscores only, at most 50');

const values = (what: string) => z.record(cssName, cssValue).default({}).describe(what);

const font = z
  .strictObject({
    family: cssValue.describe('Name of the family.'),
    fallback: cssValue.default('sans-serif').describe('Families to use where it is not there.'),
    files: z.array(z.string().min(1)).default([]).describe('Files of the font, relative to the assets.'),
  })
  .optional();

/** `web`. */
export const webSchema = z
  .strictObject({
    branding: z
      .strictObject({
        name: z.string().min(1).max(100).optional().describe('Name of the site.'),
        title: z.string().min(1).max(200).optional().describe('Title of its first page.'),
        description: z.string().min(1).max(500).optional().describe('What it is about, for search engines.'),
        copyright: z.string().min(1).max(200).optional().describe('Line at the end of each page.'),
        logo: z.string().min(1).optional().describe('File of the logo, relative to the assets.'),
        favicon: z.string().min(1).optional().describe('File of the icon, relative to the assets.'),
        theme_color: z
          .string()
          .regex(/^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/, 'must be a colour such as #1a2b3c')
          .optional()
          .describe('Colour of the browser’s own frame.'),
      })
      .prefault({})
      .describe('How the site presents itself.'),
    fonts: z
      .strictObject({
        body: font.describe('Font of the text.'),
        heading: font.describe('Font of the headings.'),
        mono: font.describe('Font of code.'),
      })
      .prefault({})
      .describe('Fonts.'),
    colors: z
      .strictObject({ light: values('Colours by day, by name.'), dark: values('Colours by night, by name.') })
      .prefault({})
      .describe('Colours.'),
    typography: values('Sizes of text, by name.'),
    spacing: values('Distances, by name.'),
    radius: values('Roundings, by name.'),
    shadows: values('Shadows, by name.'),
    layout: values('Widths and heights, by name.'),
    paths: z
      .strictObject({
        templates: z
          .string()
          .min(1)
          .default('web/templates')
          .describe('Folder of the templates, relative to `services/`.'),
        assets: z
          .string()
          .min(1)
          .default('web/assets')
          .describe('Folder of pictures, fonts and styles, relative to `services/`.'),
      })
      .prefault({})
      .describe('Where things are.'),
  })
  .describe('The look of the site.');

export type WebConfig = z.output<typeof webSchema>;
