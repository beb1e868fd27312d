import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandContext } from '../command-context.ts';
import type { Finding } from './finding.ts';

/** The lowest Node.js, as `engines` in package.json says. */
const floor = [22, 19] as const;

export async function checkRuntime(): Promise<Finding> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const detail = `Node.js ${process.versions.node} on ${process.platform}-${process.arch}`;
  if (major < floor[0] || (major === floor[0] && minor < floor[1])) {
    return { state: 'fail', detail: `${detail}; ${floor.join('.')} or newer is needed` };
  }
  return { state: 'ok', detail };
}

/** A stale index hides commands; the built one carries the version that it was made from. */
export async function checkManifest(): Promise<Finding> {
  const { packageRoot, packageVersion } = await import('../../infra/config/package-root.ts');
  const text = await readFile(join(packageRoot(), 'oclif.manifest.json'), 'utf8').catch(() => undefined);
  if (text === undefined)
    return { state: 'warn', detail: 'not built: the index of commands is missing', shell: 'npm run build' };
  const { version } = JSON.parse(text) as { version?: string };
  if (version !== packageVersion()) {
    return {
      state: 'fail',
      detail: `the index of commands is of version ${version}, the package of ${packageVersion()}: build again, or install the package again`,
      shell: 'npm run build',
    };
  }
  return { state: 'ok', detail: `version ${version}` };
}

export async function checkInstance(context: CommandContext): Promise<Finding> {
  const instance = await context.findInstance();
  if (instance === undefined) {
    return { state: 'fail', detail: `no instance in ${context.options.cwd} or above it`, fix: 'infra services start' };
  }
  return { state: 'ok', detail: instance.root };
}

export async function checkKeys(context: CommandContext): Promise<Finding> {
  const secrets = await context.secrets();
  const names = await secrets.names();
  // Reading one proves that the master key fits what it is to open.
  const [first] = names;
  if (first !== undefined) await secrets.require(first);
  return { state: 'ok', detail: `${names.length} secrets under the master key` };
}

export async function checkConfiguration(context: CommandContext): Promise<Finding> {
  const [profile, servers] = await Promise.all([context.profile(), context.mcpServers()]);
  return {
    state: 'ok',
    detail: `profile ${profile.name}, ${servers.length} MCP ${servers.length === 1 ? 'server' : 'servers'}`,
  };
}
