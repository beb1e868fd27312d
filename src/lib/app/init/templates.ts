import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { esbuildVersion } from '../build/compile.ts';
import type { TemplateName } from './template-names.ts';

/** Folders of `templates/` that a template is made of; of a file that two have, the later one's counts. */
const layers: Readonly<Record<TemplateName, readonly string[]>> = {
  'mcp-server': ['minimal', 'mcp-server'],
  minimal: ['minimal'],
};

/** What a template is filled with. */
export interface TemplateValues {
  readonly name: string;
  /** How the new project's package.json names this package: a version, or where npm gets it from. */
  readonly systemprompt: string;
}

/** Files that come from elsewhere in the package, so that there is one of each. */
const taken: readonly string[] = ['systemprompt', 'marketplace', 'content-manager'].map((name) =>
  join('services', 'mcp', `${name}.yaml`),
);

/**
 * The files of a new project: path relative to it, and content.
 * @param packageRoot the folder of the installed systemprompt
 */
export async function templateFiles(
  packageRoot: string,
  template: TemplateName,
  values: TemplateValues,
): Promise<ReadonlyMap<string, string>> {
  const { dependencies } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    readonly dependencies: { readonly zod: string };
  };
  const filled: Readonly<Record<string, string>> = { ...values, esbuild: esbuildVersion, zod: dependencies.zod };
  const files = new Map<string, string>();
  for (const layer of layers[template]) {
    const folder = join(packageRoot, 'templates', layer);
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      files.set(placeOf(relative(folder, file), values.name), fill(await readFile(file, 'utf8'), filled));
    }
  }
  for (const file of taken) files.set(file, await readFile(join(packageRoot, file), 'utf8'));
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** npm leaves a file named .gitignore out of packages, so the template has another name for it. */
function placeOf(path: string, name: string): string {
  const steps = path.split(sep).map((step) => (step === '_gitignore' ? '.gitignore' : fill(step, { name })));
  return join(...steps);
}

function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/__([a-z]+)__/g, (all, key: string) => values[key] ?? all);
}

/**
 * How package.json names where systemprompt comes from. A path is meant from `cwd` and written from the project; without a
 * specification it is this version, and in a checkout of systemprompt, of which nobody publishes anything, the checkout.
 * @param version of this package
 */
export function packageSpecification(
  given: string | undefined,
  places: { readonly cwd: string; readonly project: string; readonly packageRoot: string },
  version: string,
): string {
  const isPath = given !== undefined && /^(file:|\.{0,2}\/)/.test(given);
  if (given !== undefined && !isPath) return given;
  const path = given === undefined ? checkoutAt(places.packageRoot) : resolve(places.cwd, given.replace(/^file:/, ''));
  if (path === undefined) return version;
  const within = relative(places.project, path);
  return `file:${within.startsWith('.') ? within : `./${within}`}`.split(sep).join('/');
}

function checkoutAt(packageRoot: string): string | undefined {
  return existsSync(join(packageRoot, 'scripts', 'build.mjs')) && existsSync(join(packageRoot, 'src'))
    ? packageRoot
    : undefined;
}
