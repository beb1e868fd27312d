import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { artifactParts, readArtifactRecord } from '../../../../src/lib/app/build/artifact-file.ts';
import { requireProject, selectExtensions, servicesOfProject } from '../../../../src/lib/app/build/project.ts';
import { readWorkspace } from '../../../../src/lib/app/build/workspace.ts';
import { createLocalInstance } from '../../../../src/lib/infra/config/instance.ts';
import { packageRoot } from '../../../helpers/cli.ts';
import { type ExtensionProject, extensionProject, helloManifest } from '../../../helpers/extension-project.ts';

let project: ExtensionProject;
beforeEach(() => {
  project = extensionProject();
});
afterEach(() => project[Symbol.dispose]());

const manifest = 'extensions/mcp/hello/manifest.yaml';

it.each([
  ['a key that is not known', `${helloManifest}  nmae: x\n`, 4, 3, '`nmae` is not known in `extension`'],
  ['another kind of extension', helloManifest.replace('mcp', 'wasm'), 2, 9, 'must be mcp'],
  ['no name', 'extension:\n  type: mcp\n', 2, 3, '`extension.name` is missing'],
  ['a name that no address can have', helloManifest.replace('hello', 'Hello World'), 3, 9, 'lower-case'],
  ['a module elsewhere', `${helloManifest}  module: ../../index.ts\n`, 4, 11, 'must lie in the folder'],
  ['a module that is not there', `${helloManifest}  module: server.ts\n`, 4, 11, 'there is no module'],
  ['a version that is none', `${helloManifest}  version: 1.x\n`, 4, 12, 'must be a version'],
  ['a fault of grammar', 'extension: [\n', 1, 12, 'is never closed'],
  ['an empty file', '', 1, 1, ''],
])('a manifest with %s is refused with its place', async (_what, text, line, column, message) => {
  project.write(manifest, text);
  const { packages, issues } = await readWorkspace(project.root, packageRoot);
  expect(issues[0]).toMatchObject({ line, column, message: expect.stringContaining(message) });
  expect(issues[0]?.file).toContain('manifest.yaml');
  expect(packages.every(({ manifestFile }) => manifestFile === undefined)).toBe(true);
});

it('the configuration is where the active profile says', async () => {
  const services = () => servicesOfProject(project.root, { cwd: project.root, env: {} });
  expect(await services()).toBe(join(project.root, 'services'));
  const { projectDir } = await createLocalInstance(project.root, {});
  expect(await services()).toBe(join(project.root, 'services'));
  writeFileSync(join(projectDir, 'profiles/local/profile.yaml'), 'paths: { services: code }\n');
  project.write('code/mcp/wrong.yaml', 'mcp_server: {}\n');
  expect(await services()).toBe(join(project.root, 'code'));
  const { issues } = await readWorkspace(project.root, packageRoot, await services());
  expect(issues.map(({ message }) => message)).toContainEqual(expect.stringContaining('mcp_server'));
});

it('two extensions can not have one name', async () => {
  project.write('extensions/other/index.ts', '');
  project.write('extensions/other/manifest.yaml', helloManifest);
  const { issues } = await readWorkspace(project.root, packageRoot);
  expect(issues).toEqual([
    expect.objectContaining({
      line: 3,
      column: 9,
      message: expect.stringMatching(/another extension has the name hello/),
    }),
  ]);
});

it('what is wrong in services/mcp/ is found as well, and what comes with the package is not of the workspace', async () => {
  project.write(
    'services/mcp/own.yaml',
    'mcp_servers:\n  a:\n    module: nowhere/at/all\n    port: 5322\n    description: x\n    oauth: { scopes: [user] }\n  systemprompt:\n    module: extensions/mcp/systemprompt\n    port: 5323\n    description: x\n    oauth: { scopes: [user] }\n',
  );
  const { packages, issues } = await readWorkspace(project.root, packageRoot);
  expect(packages.map(({ name }) => name)).toEqual(['hello']);
  expect(issues).toMatchObject([{ line: 3, column: 13, message: 'the module nowhere/at/all of a does not exist' }]);
  project.write('services/mcp/wrong.yaml', 'mcp_server: {}\n');
  const { issues: broken } = await readWorkspace(project.root, packageRoot);
  expect(broken.map(({ message }) => message)).toContainEqual(expect.stringContaining('mcp_server'));
});

it('extensions are chosen by name; without one it is those that are enabled', async () => {
  project.write('extensions/off/index.ts', '');
  project.write('extensions/off/manifest.yaml', 'extension: { type: mcp, name: off, enabled: false }\n');
  const { packages } = await readWorkspace(project.root, packageRoot);
  expect(selectExtensions(packages, []).map(({ name }) => name)).toEqual(['hello']);
  expect(selectExtensions(packages, ['off']).map(({ name }) => name)).toEqual(['off']);
  expect(() => selectExtensions(packages, ['helo'])).toThrow(
    expect.objectContaining({ code: 'NOT_FOUND', hint: 'Did you mean hello?' }),
  );
});

it('a project is found from inside of it, and is not found elsewhere', () => {
  const inner = join(project.root, 'extensions/mcp/hello');
  expect(requireProject(inner, {})).toBe(project.root);
  expect(requireProject('/', { SYSTEMPROMPT_ROOT: inner })).toBe(inner);
  expect(() => requireProject('/', {})).toThrow(expect.objectContaining({ code: 'PRECONDITION' }));
});

it('a record that is none, or names files elsewhere, is not believed', () => {
  const folder = join(project.root, 'dist/x');
  mkdirSync(folder, { recursive: true });
  project.write('dist/x/index.js', 'code');
  for (const outputs of [{ '../../secret': 'x' }, { '/etc/passwd': 'x' }]) {
    const record = {
      version: 1,
      name: 'x',
      digest: 'd',
      inputsDigest: 'i',
      inputs: [],
      outputs,
      server: {},
      versions: {},
    };
    project.write('dist/x/artifact.json', JSON.stringify(record));
    expect(readArtifactRecord(folder)).toBeUndefined();
  }
  for (const text of ['', '{', '[]', 'null', '{"version":2}']) {
    project.write('dist/x/artifact.json', text);
    expect(readArtifactRecord(folder)).toBeUndefined();
    expect(artifactParts(join(folder, 'index.js')).map(String)).toEqual(['code']);
  }
});
