import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { esbuildVersion } from '../../../../src/lib/app/build/compile.ts';
import { readWorkspace } from '../../../../src/lib/app/build/workspace.ts';
import { fileKinds } from '../../../../src/lib/app/config/kinds.ts';
import { loadServices } from '../../../../src/lib/app/config/load-services.ts';
import { checkName, nameOfFolder } from '../../../../src/lib/app/init/names.ts';
import { templateNames } from '../../../../src/lib/app/init/template-names.ts';
import { packageSpecification, templateFiles } from '../../../../src/lib/app/init/templates.ts';
import { packageRoot } from '../../../helpers/cli.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const values = { name: 'search', systemprompt: '1.2.3' };

describe.each(templateNames)('the template %s', (template) => {
  it('is filled everywhere, and has what a project needs', async () => {
    const files = await templateFiles(packageRoot, template, values);
    for (const [path, text] of files) expect(`${path}\n${text}`, path).not.toMatch(/__[a-z]+__/);
    const needed = ['.gitignore', '.github/workflows/ci.yml', '.vscode/settings.json', 'README.md', 'package.json'];
    expect([...files.keys()]).toEqual(expect.arrayContaining([...needed, 'services/config/config.yaml']));
    const { dependencies, devDependencies, scripts, name } = JSON.parse(files.get('package.json') ?? '');
    expect({ name, dependencies, devDependencies }).toMatchObject({
      name: 'search',
      dependencies: { systemprompt: '1.2.3' },
      devDependencies: { esbuild: esbuildVersion },
    });
    expect(scripts).toMatchObject({ start: expect.any(String), test: expect.any(String), build: expect.any(String) });
  });

  it('holds by the checks of the product', async () => {
    await using folder = await temporaryFolder();
    for (const [path, text] of await templateFiles(packageRoot, template, values)) {
      mkdirSync(dirname(join(folder.path, path)), { recursive: true });
      writeFileSync(join(folder.path, path), text);
    }
    const { mcpServers } = await loadServices({ servicesDir: join(folder.path, 'services') });
    const own = template === 'minimal' ? [] : ['search'];
    expect(mcpServers.map(({ name }) => name)).toEqual(['content-manager', 'marketplace', ...own, 'systemprompt']);
    const { packages, issues } = await readWorkspace(folder.path, packageRoot);
    expect(issues).toEqual([]);
    expect(packages.map(({ name, configured }) => [name, configured.length])).toEqual(own.map((name) => [name, 1]));
  });

  it('has editor settings for every kind of file there is a schema for', async () => {
    const files = await templateFiles(packageRoot, template, values);
    const { 'yaml.schemas': schemas } = JSON.parse(files.get('.vscode/settings.json') ?? '') as {
      'yaml.schemas': Record<string, string>;
    };
    for (const { id, place } of Object.values(fileKinds).filter(({ id }) => id !== 'fragment')) {
      const path = `./node_modules/systemprompt/schemas/${id}.schema.json`;
      expect(schemas[path], id).toBe(place.replace(/<\w+>/g, '*'));
    }
    for (const path of Object.keys(schemas)) {
      const file = path.replace('./node_modules/systemprompt/', packageRoot);
      expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ title: expect.any(String) });
    }
  });

  it('has a workflow whose steps are scripts of the project', async () => {
    const files = await templateFiles(packageRoot, template, values);
    const { scripts } = JSON.parse(files.get('package.json') ?? '') as { scripts: Record<string, string> };
    const { jobs } = parse(files.get('.github/workflows/ci.yml') ?? '') as {
      jobs: { check: { steps: { run?: string }[] } };
    };
    const runs = jobs.check.steps.flatMap(({ run }) => run ?? []);
    expect(runs).toEqual(
      expect.arrayContaining(['npm run build', 'npx systemprompt admin config validate', 'npm test']),
    );
    for (const run of runs) {
      const script = /^npm (?:run )?(\w+)/.exec(run)?.[1];
      if (script !== undefined && script !== 'install') expect(scripts).toHaveProperty(script);
      const words = /^npx systemprompt ([a-z ]+)/.exec(run)?.[1]?.trim();
      if (words !== undefined) {
        expect(existsSync(join(packageRoot, 'src/commands', `${words.replaceAll(' ', '/')}.ts`)), run).toBe(true);
      }
    }
  });
});

it('new projects get the compiler that systemprompt itself is built with, and its zod', async () => {
  const { devDependencies, dependencies } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  expect(devDependencies.esbuild).toBe(esbuildVersion);
  const files = await templateFiles(packageRoot, 'mcp-server', values);
  expect(JSON.parse(files.get('package.json') ?? '').dependencies.zod).toBe(dependencies.zod);
  const guide = readFileSync(join(packageRoot, 'docs/extensions-mcp.md'), 'utf8');
  expect(guide).toContain(`esbuild@${esbuildVersion}`);
});

it.each([
  ['/x/my-project', 'my-project'],
  ['/x/My Project 2', 'my-project-2'],
  ['/x/2024', 'my-project'],
  ['/x/systemprompt', 'my-project'],
  ['/', 'my-project'],
  [`/x/${'a'.repeat(80)}`, 'a'.repeat(50)],
])('the folder %s suggests the name %s', (folder, name) => {
  expect(nameOfFolder(folder)).toBe(name);
});

it.each(['', 'Hello', '1st', 'a b', 'a/b', '../x', 'zod', 'systemprompt', 'registry', 'x'.repeat(51)])(
  'refuses the name %j',
  (name) => {
    expect(() => checkName(name)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  },
);

it.each([
  [undefined, '/installed', '0.1.0'],
  ['1.2.3', '/installed', '1.2.3'],
  ['next', '/installed', 'next'],
  ['https://example.org/x.tgz', '/installed', 'https://example.org/x.tgz'],
  ['./packed/x.tgz', '/installed', 'file:../packed/x.tgz'],
  ['../x.tgz', '/installed', 'file:../../x.tgz'],
  ['/tmp/x.tgz', '/installed', 'file:../../../tmp/x.tgz'],
  ['file:packed/x.tgz', '/installed', 'file:../packed/x.tgz'],
  ['./work/project/x.tgz', '/installed', 'file:../work/project/x.tgz'],
])('--package %s is written so that it leads there from the project', (given, root, written) => {
  const places = { cwd: '/home/work', project: '/home/work/project', packageRoot: root };
  expect(packageSpecification(given, places, '0.1.0')).toBe(written);
});

it('a project made by a checkout installs the checkout, which nobody has published', () => {
  const places = { cwd: '/', project: join(dirname(packageRoot), 'project'), packageRoot };
  expect(packageSpecification(undefined, places, '0.1.0')).toMatch(/^file:\.\.\//);
});
