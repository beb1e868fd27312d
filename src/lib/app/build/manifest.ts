import { z } from 'zod';
import { semanticVersion, serverName, servicePort } from '../../infra/config/fields.ts';

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
        name: serverName.describe('Name of the server, as its module and services/mcp/ have it.'),
        version: semanticVersion.optional().describe('Version; if it is given, the module must have the same.'),
        description: z.string().min(1).optional().describe('What it offers, in one sentence.'),
        module: ownPath.optional().describe('Entry module. Default: `index.ts`, else `src/index.ts`, else `index.js`.'),
        external: z
          .array(z.string().min(1))
          .default([])
          .describe('Packages that are not bundled but found at run time, such as those with native code.'),
        port: servicePort.optional().describe('Port that its author suggests; services/mcp/ decides.'),
        binary: z.string().min(1).optional().describe('Accepted from older files; not used: the module is what runs.'),
        build_type: z.string().min(1).optional().describe('Accepted from older files; not used.'),
        enabled: z.boolean().default(true).describe('Whether it is built when no extension is named.'),
      })
      .describe('The extension.'),
  })
  .describe('What an extension is (extensions/*/*/manifest.yaml).');

export type ExtensionManifest = z.output<typeof extensionManifestSchema>['extension'];
