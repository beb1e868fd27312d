import { z } from 'zod';

/** What an extension may be called: its name becomes the key of its server and a part of addresses. */
const extensionName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,49}$/,
    'must have lower-case letters, digits and dashes only, begin with a letter, at most 50',
  );

/** A path inside of the extension's folder. */
const ownPath = z
  .string()
  .min(1)
  .refine((path) => !path.startsWith('/') && !path.split(/[\\/]/).includes('..'), {
    error: 'must lie in the folder of the manifest',
    params: { hint: 'write a path such as index.ts' },
  });

/** `extensions/<group>/<name>/manifest.yaml`. */
export const extensionManifestSchema = z
  .strictObject({
    extension: z
      .strictObject({
        type: z.literal('mcp', 'must be mcp').describe('`mcp`: an MCP server.'),
        name: extensionName.describe('Name of the server, as its module and services/mcp/ have it.'),
        version: z
          .string()
          .regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/, 'must be a version such as 1.0.0')
          .optional()
          .describe('Version; if it is given, the module must have the same.'),
        description: z.string().min(1).optional().describe('What it offers, in one sentence.'),
        module: ownPath.optional().describe('Entry module. Default: `index.ts`, else `src/index.ts`, else `index.js`.'),
        external: z
          .array(z.string().min(1))
          .default([])
          .describe('Packages that are not bundled but found at run time, such as those with native code.'),
        port: z
          .int()
          .min(1024)
          .max(65_535)
          .optional()
          .describe('Port that its author suggests; services/mcp/ decides.'),
        enabled: z.boolean().default(true).describe('Whether it is built when no extension is named.'),
      })
      .describe('The extension.'),
  })
  .describe('What an extension is (extensions/*/*/manifest.yaml).');

export type ExtensionManifest = z.output<typeof extensionManifestSchema>['extension'];
