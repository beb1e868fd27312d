import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { artifactParts, readArtifactRecord } from '../../../../src/lib/app/build/artifact-file.ts';
import { type BuiltExtension, buildExtensions } from '../../../../src/lib/app/build/build.ts';
import { esbuildVersion } from '../../../../src/lib/app/build/compile.ts';
import { readWorkspace } from '../../../../src/lib/app/build/workspace.ts';
import { findModule } from '../../../../src/lib/app/supervisor/module-path.ts';
import { packageRoot } from '../../../helpers/cli.ts';
import {
  type ExtensionProject,
  extensionProject,
  helloManifest,
  helloService,
  serverSource,
} from '../../../helpers/extension-project.ts';

const source = 'extensions/mcp/hello/index.ts';
const limits = { timeoutMs: 20_000, memoryMb: 256 };

let project: ExtensionProject;
beforeEach(() => {
  project = extensionProject();
});
afterEach(() => project[Symbol.dispose]());

const output = (): string => join(project.root, 'dist/extensions/mcp/hello');
const built = (): string => join(output(), 'index.js');

async function build(more: { force?: boolean; limits?: typeof limits } = {}): Promise<BuiltExtension> {
  const { packages, issues } = await readWorkspace(project.root, packageRoot);
  expect(issues).toEqual([]);
  const [result] = await buildExtensions({ root: project.root, packageRoot, extensions: packages, limits, ...more });
  if (result === undefined) throw new Error('nothing was built');
  return result;
}

describe('a build', () => {
  it('writes a module where the supervisor looks for it, and what it is made of beside it', async () => {
    expect(await build()).toMatchObject({ state: 'built', changed: true, servers: ['hello'], issues: [], notes: [] });
    expect(findModule([project.root, packageRoot], 'extensions/mcp/hello')).toBe(built());
    expect(readArtifactRecord(output())).toMatchObject({
      name: 'hello',
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      inputs: [source],
      server: { name: 'hello', version: '1.0.0', contract: 2, tools: ['greet'] },
      versions: { esbuild: esbuildVersion },
    });
    const code = readFileSync(built(), 'utf8');
    expect(code).toContain('from "systemprompt/mcp"');
    expect(code).toContain('sourceMappingURL');
    expect((await import(pathToFileURL(built()).href)).server.name).toBe('hello');
    expect(readdirSync(join(project.root, 'dist'))).toEqual(['extensions']);
  });

  it('does nothing the second time, and builds when a source, the manifest or a setting has changed', async () => {
    await build();
    expect(await build()).toMatchObject({ state: 'unchanged', changed: false });
    for (const file of [source, 'extensions/mcp/hello/new.ts', 'extensions/mcp/hello/manifest.yaml', 'package.json']) {
      if (existsSync(join(project.root, file))) appendFileSync(join(project.root, file), '\n');
      else project.write(file, 'export const added = 1;\n');
      expect(await build(), file).toMatchObject({ state: 'built', changed: false });
    }
    expect(await build({ force: true })).toMatchObject({ state: 'built', changed: false });
  });

  it('of a comment is another build of the same code; of another word is other code', async () => {
    const before = (await build()).record?.digest;
    project.write(source, serverSource({ before: '// a remark\n' }));
    expect(await build()).toMatchObject({ state: 'built', changed: false, record: { digest: before } });
    const parts = artifactParts(built());
    project.write(source, serverSource({ words: 'good morning' }));
    expect(await build()).toMatchObject({ state: 'built', changed: true });
    expect(artifactParts(built())).not.toEqual(parts);
  });

  it('covers the chunks: one that is altered counts as changed, and is built again', async () => {
    project.write('extensions/mcp/hello/later.ts', "export const words = 'later';\n");
    project.write(source, serverSource({ after: "export const later = () => import('./later.ts');\n" }));
    await build();
    const [chunk] = readdirSync(join(output(), 'chunks')).filter((name) => name.endsWith('.js'));
    const parts = artifactParts(built());
    expect(parts).toEqual([readArtifactRecord(output())?.digest]);
    appendFileSync(join(output(), 'chunks', String(chunk)), '// altered');
    const altered = artifactParts(built());
    expect(altered).not.toEqual(parts);
    appendFileSync(join(output(), 'chunks', String(chunk)), '// and again');
    expect(artifactParts(built())).not.toEqual(altered);
    expect(await build()).toMatchObject({ state: 'built' });
    expect(artifactParts(built())).toEqual(parts);
  });

  it('keeps the chunks of the build before, for processes that run from them, and those of no earlier one', async () => {
    const chunks: string[] = [];
    for (const words of ['one', 'two', 'three']) {
      project.write('extensions/mcp/hello/later.ts', `export const words = '${words}';\n`);
      project.write(source, serverSource({ after: "export const later = () => import('./later.ts');\n" }));
      const { record } = await build();
      chunks.push(Object.keys(record?.outputs ?? {}).find((file) => /^chunks\/.*\.js$/.test(file)) ?? '');
    }
    expect(new Set(chunks).size).toBe(3);
    expect(chunks.map((file) => existsSync(join(output(), file)))).toEqual([false, true, true]);
  });

  it('takes its turn: of two at once one builds and the other finds it done', async () => {
    const states = (await Promise.all([build(), build()])).map(({ state }) => state);
    expect(states.sort()).toEqual(['built', 'unchanged']);
  });

  it('removes what a build that was killed has left', async () => {
    mkdirSync(join(project.root, 'dist/.stage-killed/module'), { recursive: true });
    await build();
    expect(readdirSync(join(project.root, 'dist'))).toEqual(['extensions']);
  });

  it('says which command installs the compiler where there is none', async () => {
    using bare = extensionProject({ esbuild: false });
    const { packages } = await readWorkspace(bare.root, packageRoot);
    await expect(buildExtensions({ root: bare.root, packageRoot, extensions: packages })).rejects.toMatchObject({
      code: 'PRECONDITION',
      hint: `Run: npm install --save-dev --save-exact esbuild@${esbuildVersion}`,
    });
  });

  it('loads the module without the environment of the build', async () => {
    project.write(
      source,
      serverSource({
        before: "if (process.env['DATABASE_URL'] ?? process.env['HTTPS_PROXY']) throw new Error('seen');\n",
      }),
    );
    const before = { ...process.env };
    Object.assign(process.env, { DATABASE_URL: 'postgres://x', HTTPS_PROXY: 'http://x' });
    try {
      expect(await build()).toMatchObject({ state: 'built', issues: [] });
    } finally {
      process.env = before;
    }
  });

  it('notes a server that runs something else than what is built, and an extension that no server runs', async () => {
    project.write('services/mcp/hello.yaml', helloService.replace('mcp/hello', 'mcp/hello/index.ts'));
    expect((await build()).notes).toEqual([
      expect.stringMatching(
        /^hello runs extensions\/mcp\/hello\/index\.ts, not what is built: write module: extensions\/mcp\/hello \(.*hello\.yaml:3:13\)$/,
      ),
    ]);
    writeFileSync(join(project.root, 'services/mcp/hello.yaml'), 'mcp_servers: {}\n');
    expect((await build()).notes).toEqual(['hello is run by no server of services/mcp/']);
  });

  it('compiles a module that only services/mcp/ names', async () => {
    project.write('servers/other/index.ts', serverSource({ name: 'other' }));
    project.write(
      'services/mcp/other.yaml',
      helloService.replace('hello:', 'other:').replace('extensions/mcp/hello', 'servers/other').replace('5320', '5321'),
    );
    const { packages } = await readWorkspace(project.root, packageRoot);
    const results = await buildExtensions({ root: project.root, packageRoot, extensions: packages, limits });
    expect(results.map(({ name, state }) => [name, state])).toEqual([
      ['hello', 'built'],
      ['other', 'built'],
    ]);
    expect(findModule([project.root], 'servers/other')).toBe(join(project.root, 'dist/servers/other/index.js'));
  });
});

const toolByHand = (schema: string): string =>
  `export const server = { kind: 'systemprompt/mcp-server', contract: 1, name: 'hello', version: '1.0.0', tools: [
    { name: 'greet', inputSchema: ${schema}, outputSchema: { type: 'object' }, handler() {} }] };\n`;

describe('what does not hold changes nothing, and is said with its place:', () => {
  const broken: Readonly<Record<string, readonly [string, string, number, number, RegExp]>> = {
    'a fault of syntax': [source, serverSource({ before: 'const x = ;\n' }), 1, 11, /Unexpected ";"/],
    'a file that is not there': [
      source,
      serverSource({ before: "import './nowhere.ts';\n" }),
      1,
      8,
      /Could not resolve/,
    ],
    'a package that is not installed': [
      source,
      serverSource({ before: "import 'nowhere-at-all';\n" }),
      1,
      8,
      /Could not resolve/,
    ],
    'a module that throws': [
      source,
      serverSource({ after: '\nthrow new Error("boom");\n' }),
      15,
      7,
      /can't be loaded: Error: boom/,
    ],
    'an import that systemprompt does not have': [
      source,
      serverSource({ before: "import { nope } from 'systemprompt';\nnope();\n" }),
      1,
      1,
      /can't be loaded.*nope/,
    ],
    'a module that waits for ever': [
      source,
      serverSource({ after: 'await new Promise(() => {});\n' }),
      1,
      1,
      /waits at its top level/,
    ],
    'a module that hangs': [source, serverSource({ after: 'for (;;);\n' }), 1, 1, /is not loaded within 2 s/],
    'a module that takes all memory': [
      source,
      serverSource({ after: 'const all = []; for (;;) all.push(Buffer.alloc(5_000_000, 1));\n' }),
      1,
      1,
      /takes more than 256 MB/,
    ],
    'a module that fills the heap': [
      source,
      serverSource({ after: 'const all: number[][] = []; for (;;) all.push(new Array(100_000).fill(1.5));\n' }),
      1,
      1,
      /takes more than 256 MB/,
    ],
    'a module that ends the process': [
      source,
      serverSource({ after: 'process.exit(3);\n' }),
      1,
      1,
      /ends the process that loads it: exit code 3/,
    ],
    'a module that crashes': [
      source,
      serverSource({ after: 'process.abort();\n' }),
      1,
      1,
      /ends the process that loads it: SIGABRT/,
    ],
    'no server': [source, 'export const servers = 1;\n', 1, 1, /no export "server" made by defineMcpServer/],
    'a contract of another age': [
      source,
      "export const server = { kind: 'systemprompt/mcp-server', contract: 7, tools: [] };\n",
      1,
      1,
      /version 7 of the contract, this systemprompt serves 1, 2/,
    ],
    'a version that is none': [source, serverSource({ version: 'soon' }), 1, 1, /no version: "soon"/],
    'a tool with a union for its input': [
      source,
      toolByHand('{ anyOf: [] }'),
      2,
      7,
      /the input of the tool "greet" is no object schema/,
    ],
    'a tool with a schema that some clients refuse': [
      source,
      toolByHand("{ type: 'object', properties: { a: { type: ['string', 'null'] } } }"),
      2,
      7,
      /in a way that some clients refuse/,
    ],
    'a field of a tool that some clients refuse': [
      source,
      toolByHand("{ type: 'object', properties: { 'the name': { type: 'string' } } }"),
      2,
      7,
      /a field that some clients refuse: "the name"/,
    ],
    'a schema that JSON has no words for': [
      source,
      serverSource().replace('z.strictObject({})', 'z.strictObject({ at: z.date() })'),
      5,
      15,
      /Tool greet: the input has no JSON Schema: Date/,
    ],
    'two tools of one name': [
      source,
      serverSource().replace('[greet]', '[greet, greet]'),
      13,
      23,
      /two tools are named greet/,
    ],
    'an example that its own schema refuses': [
      source,
      serverSource().replace(
        'textArtifact,\n',
        "textArtifact,\n  examples: [{ title: 'a table', input: {}, output: { type: 'table' } as never }],\n",
      ),
      6,
      3,
      /the tool greet: the output of example 1 \(a table\) is not what its schema takes/,
    ],
    'an example that clients would refuse': [
      source,
      serverSource()
        .replace('z.strictObject({})', 'z.strictObject({ n: z.preprocess(Number, z.number()) })')
        .replace('textArtifact,\n', "textArtifact,\n  examples: [{ input: { n: '7' } }],\n"),
      6,
      3,
      /clients would refuse the input of example 1/,
    ],
    'a resource with no URI': [
      source,
      `export const server = { kind: 'systemprompt/mcp-server', contract: 2, name: 'hello', version: '1.0.0', tools: [],
  resources: [{ name: 'all', uri: 'all notes' }] };\n`,
      2,
      30,
      /"all notes" is no URI/,
    ],
    'a template that can not be read': [
      source,
      `import { defineMcpServer, defineResourceTemplate } from 'systemprompt/mcp';
const note = defineResourceTemplate({ uriTemplate: 'notes://{a}{b}', name: 'note', read: () => '' });
export const server = defineMcpServer({ name: 'hello', version: '1.0.0', description: 'x', resourceTemplates: [note] });\n`,
      2,
      14,
      /two variables need something between them/,
    ],
    'another name than the manifest': [
      source,
      serverSource({ name: 'hullo' }),
      3,
      9,
      /the manifest names it hello, its module hullo/,
    ],
    'another version than the manifest': [
      'extensions/mcp/hello/manifest.yaml',
      `${helloManifest}  version: 2.0.0\n`,
      4,
      12,
      /the manifest has the version 2.0.0, its module 1.0.0/,
    ],
    'a tool that only the configuration has': [
      'services/mcp/hello.yaml',
      `${helloService}    tools:\n      gret: { timeout_ms: 500 }\n`,
      9,
      7,
      /hello has no tool gret/,
    ],
    'a server with another name': [
      'services/mcp/hello.yaml',
      helloService.replace('hello:', 'hallo:'),
      2,
      3,
      /the server hallo runs a module that calls itself hello/,
    ],
  };

  it.each(Object.entries(broken))('%s', async (what, [file, text, line, column, message]) => {
    await build();
    const before = readFileSync(built(), 'utf8');
    const record = readFileSync(join(output(), 'artifact.json'), 'utf8');
    project.write(file, text);
    const result = await build({ limits: { timeoutMs: what.includes('hangs') ? 2_000 : 30_000, memoryMb: 256 } });
    expect(result).toMatchObject({ state: 'failed', changed: false });
    expect(result.issues[0]).toMatchObject({ line, column, message: expect.stringMatching(message) });
    expect(result.issues[0]?.file).toMatch(/(index\.ts|manifest\.yaml|hello\.yaml)$/);
    expect(readFileSync(built(), 'utf8')).toBe(before);
    expect(readFileSync(join(output(), 'artifact.json'), 'utf8')).toBe(record);
    expect(readdirSync(join(project.root, 'dist'))).toEqual(['extensions']);
  });
});

it('checks the types of what it builds where the project has a TypeScript: a handler returns what its output promises', async () => {
  const checkout = packageRoot.replace(/\/$/, '');
  const paths = { systemprompt: [`${checkout}/src/index.ts`], 'systemprompt/mcp': [`${checkout}/src/mcp.ts`] };
  const compilerOptions = {
    target: 'es2024',
    module: 'nodenext',
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    types: [],
    paths,
  };
  project.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['extensions'] }));
  symlinkSync(join(checkout, 'node_modules/typescript-7'), join(project.root, 'node_modules/typescript'));
  project.write('extensions/mcp/hello/index.test.ts', 'const wrong: number = "a test is no part of it";\n');
  project.write(source, serverSource().replace("type: 'text' as const", "type: 'table' as const"));
  const failed = await build();
  expect(failed).toMatchObject({
    state: 'failed',
    issues: [{ line: 10, hint: expect.stringMatching(/^TS\d+ of TypeScript$/) }],
  });
  expect(failed.issues[0]?.message).toContain('table');
  project.write(source, serverSource());
  expect(await build()).toMatchObject({ state: 'built', issues: [] });
});

it('of several extensions each is built or fails by itself, in the order of their names', async () => {
  for (const name of ['alpha', 'zeta', 'beta']) {
    project.write(`extensions/${name}/manifest.yaml`, helloManifest.replace('hello', name));
    project.write(`extensions/${name}/index.ts`, serverSource({ name, before: name === 'beta' ? 'broken(' : '' }));
  }
  const { packages } = await readWorkspace(project.root, packageRoot);
  const results = await buildExtensions({ root: project.root, packageRoot, extensions: packages, limits });
  expect(results.map(({ name, state }) => [name, state])).toEqual([
    ['alpha', 'built'],
    ['beta', 'failed'],
    ['hello', 'built'],
    ['zeta', 'built'],
  ]);
  expect(readdirSync(join(project.root, 'dist/extensions')).sort()).toEqual(['alpha', 'mcp', 'zeta']);
});
