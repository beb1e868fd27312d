import type { ToolHook } from '../../domain/mcp/index.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import type { Composed } from './compose.ts';
import { type Declarations, type Declared, issueAt, placeOf } from './declarations.ts';

/** What is wrong with rules and hooks that no field shows by itself: schemas that are none, names that are there twice. */
export async function hookFaults({ servers }: Composed, declarations: Declarations): Promise<ConfigIssue[]> {
  const issues: ConfigIssue[] = [];
  for (const settings of declarations.whole('settings')) {
    const hooks = settings.value.tool_hooks;
    issues.push(...(await faultsOf(settings, ['tool_hooks'], hooks)));
    issues.push(...extensionFaults(settings, ['tool_hooks'], hooks, servers));
  }
  for (const server of servers) {
    issues.push(...(await faultsOf(server, ['hooks'], server.value.hooks)));
    issues.push(...extensionFaults(server, ['hooks'], server.value.hooks, servers));
  }
  return issues;
}

/** A hook of an extension is asked in the process of a server of ours: without one every call would be refused. */
function extensionFaults(
  declared: Declared,
  within: readonly string[],
  hooks: readonly ToolHook[],
  servers: Composed['servers'],
): ConfigIssue[] {
  return hooks.flatMap((hook, index) => {
    if (hook.type !== 'extension') return [];
    const server = servers.find(({ name }) => name === hook.extension)?.value;
    const path = [...within, index, 'extension'];
    if (server === undefined) return [issueAt(declared, path, 'is no MCP server', 'name one of mcp_servers')];
    if (server.type !== 'internal' || server.command !== undefined) {
      return [issueAt(declared, path, 'is no server that is built with defineMcpServer', 'name another one')];
    }
    return server.enabled ? [] : [issueAt(declared, path, 'is not enabled', 'enable it, or leave the hook out')];
  });
}

async function faultsOf(
  declared: Declared,
  within: readonly string[],
  hooks: readonly ToolHook[],
): Promise<ConfigIssue[]> {
  const issues: ConfigIssue[] = [];
  const names = new Map<string, number>();
  for (const [index, hook] of hooks.entries()) {
    if (hook.name !== undefined) {
      const first = names.get(hook.name);
      names.set(hook.name, first ?? index);
      if (first !== undefined) {
        const place = placeOf(declared, [...within, first, 'name']);
        issues.push(
          issueAt(declared, [...within, index, 'name'], `the name is also in ${place}`, 'give it another one'),
        );
      }
    }
    if (hook.type !== 'schema') continue;
    const fault = await schemaFault(hook.schema);
    if (fault === undefined) continue;
    issues.push(issueAt(declared, [...within, index, 'schema'], `is no JSON Schema: ${fault}`, 'see json-schema.org'));
  }
  return issues;
}

async function schemaFault(schema: Readonly<Record<string, unknown>>): Promise<string | undefined> {
  const { compileSchema } = await import('../policy/rules.ts');
  try {
    await compileSchema(schema);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 200) : 'it can’t be read';
  }
}
