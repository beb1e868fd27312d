import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type McpServerConfig, visible } from '../../domain/mcp/index.ts';
import { packageRoot } from '../../infra/config/package-root.ts';
import { DatabaseUnavailableError, toAppError } from '../../shared/errors.ts';
import { type Inspection, inspectionLimits, inspectModule } from '../build/inspection.ts';
import { type ToolsListed, toolsListed } from '../catalogue/listed.ts';
import type { CommandContext } from '../command-context.ts';
import { unlistedTools } from '../config/declared-tools.ts';
import { loadServices } from '../config/load-services.ts';
import { type Finding, type Validation, validateConfiguration } from '../config/validation.ts';
import { serverSchemas } from '../extensions/server-migrations.ts';
import type { SchemaReport } from '../extensions/server-schemas.ts';
import { listTools } from '../mcp-call.ts';
import { bootGate } from '../supervisor/boot-gate.ts';
import type { ServiceStatus } from '../supervisor/status.ts';

/** What a server answered that was asked for its tools. */
export interface Answered {
  readonly server: string;
  readonly tools: number;
  /** From the request to the list, sign-in included, in ms. */
  readonly ms: number;
}

export interface FleetValidation extends Validation {
  /** Names of the servers that were looked at. */
  readonly servers: readonly string[];
  /** Of those that declare tables, while their database can be reached. */
  readonly schemas: readonly SchemaReport[];
  /** Of those that run. */
  readonly answered: readonly Answered[];
}

/**
 * The boot gate without a start: all files, then what the machine has of modules, programs and secrets, what modules say of
 * themselves, tables, and of what runs whether it answers.
 * @param wish the servers that are meant: one, or those that are enabled, or all
 */
export async function validateFleet(
  context: CommandContext,
  wish: { readonly server?: string | undefined; readonly all: boolean },
  signal: AbortSignal,
): Promise<FleetValidation> {
  const [instance, active, secrets] = await Promise.all([
    context.instance(),
    context.activeProfile(),
    context.secrets(),
  ]);
  const { env } = context.options;
  const files = await validateConfiguration(instance, active.name, env, new Set(await secrets.names()));
  // While the files do not hold, nobody knows what the servers are.
  if (files.findings.some(({ level }) => level === 'error'))
    return { ...files, servers: [], schemas: [], answered: [] };
  const all = await context.mcpServers();
  const servers = all
    .filter(({ name, enabled }) => (wish.server === undefined ? enabled || wish.all : name === wish.server))
    .map((server) => ({ ...server, enabled: true }));
  const source = { instance, secrets, servers, packageRoot: packageRoot(), env };
  const gate = await bootGate(source);
  const findings: Finding[] = [
    ...files.findings,
    ...gate.issues.map((issue) => ({ ...issue, level: 'error' as const })),
  ];
  for (const { server, module } of gate.servers) {
    if (module !== undefined) findings.push(...(await moduleFindings(server, module, instance.root, signal)));
  }
  const schemas = await schemaReports(context, servers);
  for (const { mode, errors } of schemas) {
    const level = mode === 'strict' ? 'error' : 'warning';
    findings.push(...errors.map((issue) => ({ ...issue, level }) as const));
  }
  const running = (await context.runningStatus())?.services ?? [];
  const answered: Answered[] = [];
  for (const server of servers) {
    if (!running.some(({ name, state }) => name === `mcp:${server.name}` && state === 'ready')) continue;
    const started = performance.now();
    try {
      const tools = await listTools(context, server.name, signal);
      answered.push({ server: server.name, tools: tools.length, ms: Math.round(performance.now() - started) });
    } catch (error) {
      const { message, hint = 'look at its log' } = toAppError(error);
      findings.push({
        ...server.moduleAt,
        message: `${server.name} runs and does not answer: ${message}`,
        hint,
        level: 'error',
      });
    }
  }
  findings.push(...(await listedFindings(context, servers, running)));
  // A warning about another server's file is no answer to the question about this one.
  const asked = servers.map(({ moduleAt }) => moduleAt.file);
  const shown = findings.filter(
    ({ level, file }) => wish.server === undefined || level === 'error' || asked.includes(file),
  );
  return { ...files, findings: shown, servers: servers.map(({ name }) => name), schemas, answered };
}

/** What servers list, beside what the files say of it: tools that are none, and tools that are named and are not there. */
async function listedFindings(
  context: CommandContext,
  servers: readonly McpServerConfig[],
  running: readonly ServiceStatus[],
): Promise<Finding[]> {
  const [instance, profile] = await Promise.all([context.instance(), context.profile()]);
  const services = await loadServices(instance, { profile });
  const known = running.length === 0 ? undefined : await onRecord(context, running);
  const named = unlistedTools(services, [instance.root, packageRoot()], known?.listed);
  const invalid = servers.flatMap(({ name, moduleAt }) =>
    (known?.invalid ?? [])
      .filter(({ server }) => server === name)
      .map((tool) => ({
        ...moduleAt,
        message: `${name} lists what is no valid tool, ${visible(tool.name, 100)}: ${tool.findings[0]?.excerpt ?? 'it can’t be read'}`,
        hint: 'it is offered to nobody; tell whoever makes the server',
        level: 'warning' as const,
      })),
  );
  return [
    ...named.map(({ certain, ...issue }) => ({ ...issue, level: certain ? ('error' as const) : ('warning' as const) })),
    ...invalid,
  ];
}

async function onRecord(context: CommandContext, running: readonly ServiceStatus[]): Promise<ToolsListed | undefined> {
  try {
    const runs = new Map(running.filter(({ state }) => state === 'ready').map((run) => [run.name, run.instanceId]));
    return await toolsListed(await context.database(), (server) => runs.get(`mcp:${server}`));
  } catch (error) {
    if (error instanceof DatabaseUnavailableError) return undefined;
    throw error;
  }
}

/** What a module says when it is loaded in a process of its own: its tools, prompts and their schemas. */
async function moduleFindings(
  server: McpServerConfig,
  module: string,
  cwd: string,
  signal: AbortSignal,
): Promise<Finding[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'systemprompt-validate-'));
  try {
    const places = { packageRoot: packageRoot(), scratch, cwd };
    const inspection = await inspectModule(module, places, inspectionLimits, signal);
    if ('server' in inspection) return [];
    return faultsOf(inspection).map(({ message, hint }) => ({
      ...server.moduleAt,
      message: `${server.name}: ${message}`,
      hint: hint ?? 'mend the module and build it: systemprompt build mcp',
      level: 'error' as const,
    }));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function faultsOf(inspection: Exclude<Inspection, { server: unknown }>): { message: string; hint?: string }[] {
  if ('findings' in inspection) return [...inspection.findings];
  const { fault } = inspection;
  if (fault === 'throws' || fault === 'crash')
    return [{ message: `its module can't be loaded: ${inspection.message}` }];
  return [
    {
      message: `its module can't be loaded: ${{ memory: 'it takes too much memory', time: 'it takes too long', waits: 'it waits for what never comes' }[fault]}`,
    },
  ];
}

async function schemaReports(context: CommandContext, servers: readonly McpServerConfig[]): Promise<SchemaReport[]> {
  const declaring = servers.filter(({ schemas }) => schemas !== undefined);
  if (declaring.length === 0 || (await context.runningStatus()) === undefined) return [];
  const [instance, profile, secrets] = await Promise.all([context.instance(), context.profile(), context.secrets()]);
  const place = { instance, profile, secrets, packageRoot: packageRoot() };
  try {
    return await Promise.all(declaring.map((server) => serverSchemas(place, server, false)));
  } catch (error) {
    // Tables of a database that is away are looked at when they are needed.
    if (error instanceof DatabaseUnavailableError) return [];
    throw error;
  }
}
