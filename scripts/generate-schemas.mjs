// Writes the JSON Schemas of the YAML files (editors complete and check with them) and the reference of the profile's
// fields in docs/configuration.md, all from the zod schemas. With --check it writes nothing and fails when any of them
// is out of date.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);

const { z } = await import('zod');
const { fieldReference } = await import('./lib/field-reference.mjs');
const { profileFileSchema } = await import('../src/lib/infra/config/profile-schema.ts');
const { mcpFileSchema } = await import('../src/lib/domain/mcp/index.ts');

/** Draft 7 is what YAML language servers know best. */
function jsonSchema(name, title, schema) {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7', unrepresentable: 'any' });
  return { path: `schemas/${name}.schema.json`, schema: { $schema, title, ...rest } };
}

const profile = jsonSchema('profile', 'profile.yaml', profileFileSchema);
const mcp = jsonSchema('mcp', 'services/mcp/*.yaml', mcpFileSchema);

const begin = '<!-- profile fields: written by scripts/generate-schemas.mjs -->';
const end = '<!-- end of profile fields -->';

function withReference(path, lines) {
  const text = readFileSync(join(root, path), 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to < from) throw new Error(`${path} lacks the lines "${begin}" and "${end}"`);
  return `${text.slice(0, from + begin.length)}\n\n${lines.join('\n')}\n\n${text.slice(to)}`;
}

const outputs = [
  ...[profile, mcp].map(({ path, schema }) => ({ path, text: `${JSON.stringify(schema, undefined, 2)}\n` })),
  { path: 'docs/configuration.md', text: withReference('docs/configuration.md', fieldReference(profile.schema)) },
];

function current(path) {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

const stale = outputs.filter(({ path, text }) => current(path) !== text);
if (process.argv.includes('--check')) {
  if (stale.length > 0) {
    const paths = stale.map(({ path }) => path).join(', ');
    process.stderr.write(`Out of date: ${paths}. Run: node ${relative(root, import.meta.filename)}\n`);
    process.exitCode = 1;
  }
} else {
  for (const { path, text } of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    process.stderr.write(`${path} written\n`);
  }
}
