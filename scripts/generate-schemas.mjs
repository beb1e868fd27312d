// Writes the JSON Schemas of the YAML files (editors complete and check with them), the reference of the profile's
// fields in docs/configuration.md and that of the files of services/ in docs/reference/services.md, all from the zod
// schemas. With --check it writes nothing and fails when any of them is out of date.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);

const { z } = await import('zod');
const { fieldReference, fieldTable } = await import('./lib/field-reference.mjs');
const { profileFileSchema } = await import('../src/lib/infra/config/profile-schema.ts');
const { extensionManifestSchema } = await import('../src/lib/app/build/manifest.ts');
const { fileKinds } = await import('../src/lib/app/config/kinds.ts');

/** Draft 7 is what YAML language servers know best. */
function jsonSchema(name, title, schema) {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7', unrepresentable: 'any' });
  return { path: `schemas/${name}.schema.json`, schema: { $schema, title, ...rest } };
}

const profile = jsonSchema('profile', 'profile.yaml', profileFileSchema);
const manifest = jsonSchema('manifest', 'extensions/*/*/manifest.yaml', extensionManifestSchema);
const services = await Promise.all(
  Object.values(fileKinds).map(async (kind) => ({ kind, ...jsonSchema(kind.id, kind.place, await kind.schema()) })),
);

/** The files of one kind after the other; the root file refers to the others for what they hold. */
function servicesReference() {
  const head = [
    '# Files of `services/`',
    '',
    'Written by scripts/generate-schemas.mjs; how the files are put together is in [Configuration](../configuration.md#the-services-folder).',
    'What is in angle brackets is a name of yours; `[]` stands for each entry of a list.',
  ];
  const parts = services
    .filter(({ kind }) => kind.id !== 'fragment')
    .map(({ kind, schema }) => {
      const { properties } = schema;
      const own =
        kind.id === 'services' ? { includes: properties.includes, settings: properties.settings } : properties;
      return ['', `## \`${kind.place}\``, '', schema.description, '', ...fieldTable({ ...schema, properties: own })];
    });
  return `${[...head, ...parts.flat()].join('\n')}\n`;
}

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
  ...[profile, manifest, ...services].map(({ path, schema }) => ({
    path,
    text: `${JSON.stringify(schema, undefined, 2)}\n`,
  })),
  { path: 'docs/reference/services.md', text: servicesReference() },
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
