import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot, packageVersion } from '../../../../src/lib/infra/config/package-root.ts';

it('the JSON Schemas and the field reference are what the zod schemas say', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/generate-schemas.mjs', '--check'], {
    cwd: packageRoot(),
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

it('every field of the profile is described in the JSON Schema and in the documentation', async () => {
  const schema = JSON.parse(await readFile(join(packageRoot(), 'schemas/profile.schema.json'), 'utf8')) as Field;
  const documentation = await readFile(join(packageRoot(), 'docs/configuration.md'), 'utf8');
  const fields = leaves(schema, '');
  expect(fields.length).toBeGreaterThan(10);
  for (const [path, field] of fields) {
    expect(field.description, path).toMatch(/\.$/);
    expect(documentation).toContain(`| \`${path}\` |`);
  }
});

it('the package is found from its source, with its version', async () => {
  const manifest = JSON.parse(await readFile(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  expect(packageVersion()).toBe(manifest.version);
});

interface Field {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Field>>;
}

function leaves(field: Field, path: string): [string, Field][] {
  if (field.properties === undefined) return [[path, field]];
  return Object.entries(field.properties).flatMap(([name, inner]) =>
    leaves(inner, path === '' ? name : `${path}.${name}`),
  );
}
