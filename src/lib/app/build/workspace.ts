import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join, relative, sep } from 'node:path';
import { type ParsedYaml, parseYamlFile } from '../../infra/config/yaml.ts';
import { displayPath } from '../../infra/config/yaml-source.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { isWithin } from '../../shared/paths.ts';
import { findModule, isFile } from '../supervisor/module-path.ts';
import { type ConfiguredServer, configuredServers } from './configured-servers.ts';
import { type ExtensionManifest, extensionManifestSchema } from './manifest.ts';

/** One extension of the workspace: what is compiled, and where to. All paths are absolute. */
export interface ExtensionPackage {
  readonly name: string;
  /** Its own folder; what changes in it may change what is built. */
  readonly folder: string;
  readonly entry: string;
  /** Folder of the artefact, below `dist/` as the sources lie below the project. */
  readonly output: string;
  readonly external: readonly string[];
  readonly enabled: boolean;
  readonly manifest: ParsedYaml<{ extension: ExtensionManifest }> | undefined;
  readonly manifestFile: string | undefined;
  /** The servers of services/mcp/ that run it. */
  readonly configured: readonly ConfiguredServer[];
}

export interface Workspace {
  readonly root: string;
  readonly packages: readonly ExtensionPackage[];
  /** The files of services/ that were read or looked for. */
  readonly files: readonly string[];
  /** What is wrong with manifests and services/mcp/, in the order of the files. */
  readonly issues: readonly ConfigIssue[];
}

const manifestName = 'manifest.yaml';
const entryNames = ['index.ts', 'src/index.ts', 'index.mts', 'index.js', 'src/index.js', 'index.mjs'];

/**
 * The extensions of a project: the folders one or two steps below `extensions/` with a manifest.yaml, and the modules that
 * services/mcp/ names beside them. What the package brings along is not among them.
 * @param root the project's folder
 * @param packageRoot the folder of the installed systemprompt
 * @param servicesDir its configuration as code
 */
export async function readWorkspace(
  root: string,
  packageRoot: string,
  servicesDir: string = join(root, 'services'),
): Promise<Workspace> {
  const issues: ConfigIssue[] = [];
  const packages: Writable<ExtensionPackage>[] = [];
  for (const file of await manifestFiles(join(root, 'extensions'))) {
    const found = await fromManifest(root, file);
    if ('issues' in found) issues.push(...found.issues);
    else packages.push(found);
  }
  const { servers, disabled, files, issues: broken } = await configuredServers(servicesDir);
  issues.push(...broken);
  for (const extension of packages) if (disabled.includes(extension.name)) extension.enabled = false;
  for (const server of servers) {
    const owner = packages.find((candidate) => isModuleOf(root, candidate, server.module));
    if (owner !== undefined) owner.configured = [...owner.configured, server];
    else {
      const found = await fromModule(root, packageRoot, server);
      if (found !== undefined && 'issue' in found) issues.push(found.issue);
      else if (found !== undefined) packages.push(found);
    }
  }
  issues.push(...namesakes(packages));
  const sorted = packages.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { root, packages: sorted, files, issues };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

async function manifestFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const first of await foldersIn(folder)) {
    const own = join(folder, first, manifestName);
    if (isFile(own)) found.push(own);
    for (const second of await foldersIn(join(folder, first))) {
      const nested = join(folder, first, second, manifestName);
      if (isFile(nested)) found.push(nested);
    }
  }
  return found;
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
  const names = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map(({ name }) => name);
  return names.filter((name) => !name.startsWith('.') && name !== 'node_modules' && name !== 'dist').sort();
}

async function fromManifest(
  root: string,
  file: string,
): Promise<Writable<ExtensionPackage> | { issues: ConfigIssue[] }> {
  const manifest = await parseYamlFile(file, extensionManifestSchema);
  if ('issues' in manifest) return { issues: manifest.issues };
  const { extension } = manifest.value;
  const folder = dirname(file);
  const path = ['extension', 'module'];
  const entry = (extension.module === undefined ? entryNames : [extension.module])
    .map((name) => join(folder, name))
    .find(isFile);
  if (entry === undefined) {
    const wanted = extension.module ?? entryNames[0];
    const message = `there is no module ${displayPath(join(folder, String(wanted)))}`;
    return { issues: [manifest.issue(path, message, 'write it, or name another with module:')] };
  }
  return {
    name: extension.name,
    folder,
    entry,
    output: outputOf(root, folder),
    external: extension.external,
    enabled: extension.enabled,
    manifest,
    manifestFile: file,
    configured: [],
  };
}

/** A module that only services/mcp/ knows; `undefined` for what is not of this workspace, or built already. */
async function fromModule(
  root: string,
  packageRoot: string,
  server: ConfiguredServer,
): Promise<Writable<ExtensionPackage> | { issue: ConfigIssue } | undefined> {
  const path = isAbsolute(server.module) ? server.module : join(root, server.module);
  if (!isWithin(root, path)) return undefined;
  const steps = relative(root, path).split(sep);
  if (steps.includes('dist') || steps.includes('node_modules')) return undefined;
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() === true;
  const entry = isFolder ? entryNames.map((name) => join(path, name)).find(isFile) : isFile(path) ? path : undefined;
  if (entry === undefined) {
    // One that comes with the package, or was built by other means: the supervisor finds it.
    if (findModule([root, packageRoot], server.module) !== undefined) return undefined;
    const message = `the module ${server.module} of ${server.name} does not exist`;
    return { issue: { ...server.moduleAt, message, hint: 'write the path of its folder, relative to the project' } };
  }
  const stem = basename(entry, extname(entry)) === 'index' ? dirname(entry) : entry.slice(0, -extname(entry).length);
  const folder = isFolder ? path : stem;
  return {
    name: server.name,
    folder,
    entry,
    output: outputOf(root, folder),
    external: [],
    enabled: true,
    manifest: undefined,
    manifestFile: undefined,
    configured: [server],
  };
}

function outputOf(root: string, folder: string): string {
  return join(root, 'dist', relative(root, folder));
}

/** Whether a module of the configuration means this extension: its folder, its entry, or what is built from it. */
function isModuleOf(root: string, { folder, entry, output }: ExtensionPackage, module: string): boolean {
  const path = isAbsolute(module) ? module : join(root, module);
  return [folder, entry, output, join(output, 'index.js'), join(folder, 'index.js')].includes(path.replace(/\/+$/, ''));
}

function namesakes(packages: readonly ExtensionPackage[]): ConfigIssue[] {
  return packages.flatMap((current, index) => {
    const first = packages.slice(0, index).find(({ name }) => name === current.name);
    if (first === undefined || current.manifest === undefined) return [];
    const message = `another extension has the name ${current.name}: ${displayPath(first.folder)}`;
    return [current.manifest.issue(['extension', 'name'], message, 'give one of them another name')];
  });
}
