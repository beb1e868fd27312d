import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { displayPath } from '../../infra/config/yaml-source.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import type { ServerFacts } from './artifact-file.ts';
import { keyPlace } from './configured-servers.ts';
import type { Inspection, InspectionLimits } from './inspection.ts';
import { placeOfSubject } from './subject-place.ts';
import type { ExtensionPackage } from './workspace.ts';

/** Whether manifest, module and services/mcp/ say the same of an extension. */
export async function crossChecks(extension: ExtensionPackage, server: ServerFacts): Promise<ConfigIssue[]> {
  return [...againstManifest(extension, server), ...(await againstConfiguration(extension, server))];
}

function againstManifest({ manifest }: ExtensionPackage, server: ServerFacts): ConfigIssue[] {
  if (manifest === undefined) return [];
  const { name, version } = manifest.value.extension;
  const issues: ConfigIssue[] = [];
  if (name !== server.name) {
    const message = `the manifest names it ${name}, its module ${server.name}`;
    issues.push(manifest.issue(['extension', 'name'], message, `write one name in both, such as ${server.name}`));
  }
  if (version !== undefined && version !== server.version) {
    const message = `the manifest has the version ${version}, its module ${server.version}`;
    issues.push(manifest.issue(['extension', 'version'], message, 'write one in both, or leave it out here'));
  }
  return issues;
}

async function againstConfiguration({ configured }: ExtensionPackage, server: ServerFacts): Promise<ConfigIssue[]> {
  const issues: ConfigIssue[] = [];
  const [first] = configured;
  // One module may run as several servers; one of them goes by its own name.
  if (first !== undefined && !configured.some(({ name }) => name === server.name)) {
    const message = `the server ${first.name} runs a module that calls itself ${server.name}`;
    issues.push({
      ...(await keyPlace(first.nameAt, first.moduleAt)),
      message,
      hint: `write ${server.name} here, or the other name in defineMcpServer()`,
    });
  }
  for (const { tools, name, moduleAt } of configured) {
    for (const tool of tools.filter((declared) => !server.tools.includes(declared.name))) {
      const [meant] = nearest(tool.name, server.tools, 1);
      const hint =
        meant === undefined ? `it has ${server.tools.slice(0, 10).join(', ')}` : `did you mean \`${meant}\`?`;
      issues.push({ ...(await keyPlace(tool.at, moduleAt)), message: `${name} has no tool ${tool.name}`, hint });
    }
  }
  return issues;
}

/** What was found when the module was loaded, placed where its author can do something about it. */
export async function inspectionIssues(
  root: string,
  extension: ExtensionPackage,
  inspection: Exclude<Inspection, { server: ServerFacts }>,
  limits: InspectionLimits,
): Promise<ConfigIssue[]> {
  const at = { file: displayPath(extension.entry), line: 1, column: 1 };
  if ('findings' in inspection) {
    return await Promise.all(
      inspection.findings.map(async ({ subject, ...finding }) => ({
        ...at,
        ...(await placeOfSubject(extension, subject)),
        ...finding,
      })),
    );
  }
  switch (inspection.fault) {
    case 'throws':
      return [{ ...at, ...placeIn(root, inspection.stack), message: `can't be loaded: ${inspection.message}` }];
    case 'memory':
      return [
        { ...at, message: `takes more than ${limits.memoryMb} MB to be loaded`, hint: 'load large data in a handler' },
      ];
    case 'time':
      return [
        {
          ...at,
          message: `is not loaded within ${limits.timeoutMs / 1000} s`,
          hint: 'leave what takes long, or waits for something, to a handler or to ready',
        },
      ];
    case 'waits':
      return [{ ...at, message: 'waits at its top level for what never comes', hint: 'look at its top-level await' }];
    case 'crash':
      return [{ ...at, message: `ends the process that loads it: ${inspection.message}` }];
  }
}

/** The innermost place of a stack that lies in the sources; source maps have been applied to it. */
function placeIn(root: string, stack: string): { file: string; line: number; column: number } | undefined {
  for (const [, path, line, column] of stack.matchAll(/\(?((?:file:\/\/)?\/[^\n():]+):(\d+):(\d+)\)?$/gm)) {
    const file = path?.startsWith('file:') === true ? fileURLToPath(path) : path;
    const within = file === undefined ? '..' : relative(root, file);
    if (file === undefined || /^(\.\.|dist)(\/|$)|(^|\/)node_modules\//.test(within)) continue;
    return { file: displayPath(file), line: Number(line), column: Number(column) };
  }
  return undefined;
}
