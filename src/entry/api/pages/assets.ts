import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyPluginAsync } from 'fastify';
import { packageRoot } from '../../../lib/infra/config/package-root.ts';
import { NotFoundError } from '../../../lib/shared/errors.ts';

/** What pages load, by the name of its source in src/entry/pages. */
export type AssetName = 'style.css' | 'passkey.js';

const types: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
};

interface Assets {
  readonly current: Readonly<Record<string, string>>;
  readonly files: ReadonlyMap<string, Buffer>;
}

let loaded: Assets | undefined;

/** Kept in memory: a process goes on serving what its pages name when the build behind it is replaced. */
function assets(): Assets {
  loaded ??= load(join(packageRoot(), 'dist', 'assets'));
  return loaded;
}

function load(folder: string): Assets {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Record<string, string>;
    const names = readdirSync(folder).filter((name) => (name.split('.').at(-1) ?? '') in types);
    return { current: manifest, files: new Map(names.map((name) => [name, readFileSync(join(folder, name))])) };
  } catch (error) {
    // Run from sources that were never built, as tests do: pages work without looks.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { current: {}, files: new Map() };
  }
}

/** Where a page finds an asset: the name changes with the content, so the answer may be kept for ever. */
export function assetUrl(name: AssetName): string {
  return `/auth/assets/${assets().current[name] ?? name}`;
}

/** Stylesheet and scripts of the pages; those of the build before too, for pages that another process rendered. */
export const assetRoutes: FastifyPluginAsync = async (app) => {
  app.get<{ Params: { name: string } }>(
    '/auth/assets/:name',
    { config: { rateGroup: 'none' }, schema: { hide: true } },
    async (request, reply) => {
      const { name } = request.params;
      const content = assets().files.get(name);
      if (content === undefined) throw new NotFoundError('There is no such asset');
      return reply
        .headers({
          'content-type': types[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream',
          'cache-control': 'public, max-age=31536000, immutable',
          'cross-origin-resource-policy': 'same-origin',
        })
        .send(content);
    },
  );
};
