import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BuildFailure, BuildOptions, BuildResult, Message } from 'esbuild';
import { displayPath } from '../../infra/config/yaml-source.ts';
import { type ConfigIssue, PreconditionError } from '../../shared/errors.ts';
import type { ExtensionPackage } from './workspace.ts';

/** The compiler as the project has it: the package itself carries none. */
export interface Compiler {
  readonly version: string;
  build(options: BuildOptions): Promise<BuildResult>;
}

/** The version that projects made by `init` have, and that is recommended to others. */
export const esbuildVersion = '0.28.2';

/** Where an installed esbuild is, and its version; `undefined` when the project has none. */
export function locateCompiler(root: string): { readonly module: string; readonly version: string } | undefined {
  const { resolve: find } = createRequire(join(root, 'package.json'));
  try {
    const manifest = JSON.parse(readFileSync(find('esbuild/package.json'), 'utf8')) as { version: string };
    return { module: find('esbuild'), version: manifest.version };
  } catch {
    return undefined; // MODULE_NOT_FOUND, or half an installation, which installing again mends as well
  }
}

/** @throws PreconditionError with the command that installs it */
export async function loadCompiler(root: string): Promise<Compiler> {
  const found = locateCompiler(root);
  if (found === undefined) {
    throw new PreconditionError(`esbuild, which compiles extensions, is not installed in ${displayPath(root)}`, {
      hint: `Run: npm install --save-dev --save-exact esbuild@${esbuildVersion}`,
      data: { install: `npm install --save-dev --save-exact esbuild@${esbuildVersion}` },
    });
  }
  const { default: esbuild } = (await import(pathToFileURL(found.module).href)) as { default: Compiler };
  return esbuild;
}

/** Bundled CommonJS packages ask for these. */
const banner = [
  "import { createRequire as __createRequire } from 'node:module';",
  'const require = __createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;',
].join('\n');

/** What changes the result beside the sources; see {@link inputsDigest}. */
export function compileOptions(external: readonly string[]): BuildOptions {
  return {
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    mainFields: ['module', 'main'],
    jsx: 'automatic',
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    banner: { js: banner },
    // A server is recognised by its `kind`, so that it needs no copy of ours; zod is installed with us.
    external: ['systemprompt', 'systemprompt/*', 'zod', 'zod/*', 'esbuild', ...external],
  };
}

export interface Compiled {
  /** Of the built files, beside the artefact's record. */
  readonly files: readonly string[];
  /** Compiled files, relative to the project. */
  readonly inputs: readonly string[];
}

/**
 * Compiles one extension into a folder aside.
 * @param stage where the files are written; source maps are for the place where they will lie
 * @returns what esbuild has against the sources, each with its place
 */
export async function compile(
  compiler: Compiler,
  root: string,
  { entry, output, external }: ExtensionPackage,
  stage: string,
): Promise<Compiled | { readonly issues: readonly ConfigIssue[] }> {
  const options: BuildOptions = {
    ...compileOptions(external),
    absWorkingDir: root,
    entryPoints: { index: entry },
    outdir: output,
    write: false,
    metafile: true,
    logLevel: 'silent',
  };
  let result: BuildResult;
  try {
    result = await compiler.build(options);
  } catch (error) {
    const { errors = [] } = error as Partial<BuildFailure>;
    if (errors.length === 0) throw error;
    return { issues: errors.map((message) => issueOf(root, entry, message)) };
  }
  const files: string[] = [];
  for (const { path, contents } of result.outputFiles ?? []) {
    const file = relative(output, path);
    files.push(file);
    await mkdir(dirname(join(stage, file)), { recursive: true });
    await writeFile(join(stage, file), contents);
  }
  return { files: files.sort(), inputs: Object.keys(result.metafile?.inputs ?? {}).sort() };
}

function issueOf(root: string, entry: string, { location, text, notes }: Message): ConfigIssue {
  const place = { file: displayPath(entry), line: 1, column: 1 };
  const found =
    location === null
      ? place
      : { file: displayPath(resolve(root, location.file)), line: location.line, column: location.column + 1 };
  const hint = hintFor(text) ?? notes[0]?.text;
  return { ...found, message: text, ...(hint === undefined ? {} : { hint }) };
}

function hintFor(text: string): string | undefined {
  if (text.includes('No loader is configured for ".node"'))
    return 'packages with native code are not bundled: name the package under external: in the manifest.yaml';
  const missing = /^Could not resolve "([^."/][^"]*)"/.exec(text)?.[1];
  return missing === undefined ? undefined : `install it, or name it under external: in the manifest.yaml`;
}
