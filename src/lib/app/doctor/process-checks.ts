import { hasProcess } from '../../domain/mcp/index.ts';
import { markOf } from '../../infra/process/marker.ts';
import { freePort, holderOf, type PortHolder } from '../../infra/process/ports.ts';
import { orphansOf } from '../cleanup/orphans.ts';
import type { CommandContext } from '../command-context.ts';
import type { Finding } from './finding.ts';
import { statusNow } from './lock-check.ts';

/** Whether the API's port is ours, or free to become so. What runs may have been given another one than the profile's. */
export async function checkPort(context: CommandContext): Promise<Finding> {
  const running = await statusNow(context);
  const apis = (running?.services ?? []).filter(({ kind }) => kind === 'api');
  const port = apis.find((api) => api.port !== undefined)?.port ?? (await portOf(context, running !== undefined));
  const holder = await holderOf(port);
  if (holder === undefined) return { state: 'ok', detail: `${port} is free` };
  if (holder.pid !== undefined && apis.some(({ pid }) => pid === holder.pid)) {
    return { state: 'ok', detail: `${port} is served by pid ${holder.pid}` };
  }
  // What a killed supervisor left behind: the next start takes it over or ends it.
  const ours = await ownService(holder, (await context.instance()).id);
  if (ours !== undefined) return { state: 'ok', detail: `${port} is held by our own ${ours}, pid ${holder.pid}` };
  return {
    state: 'fail',
    detail: `${port} is taken by ${nameOf(holder)}`,
    fix: 'infra services start --port <number>',
  };
}

/** The port for the API's next run: the one that the system was given, while anything of it runs, else the profile's. */
async function portOf(context: CommandContext, supervised: boolean): Promise<number> {
  const { keptPort } = await import('../supervisor/kept-port.ts');
  const { leftBehind } = await import('../supervisor/left-behind.ts');
  const instance = await context.instance();
  const kept = await keptPort(instance);
  const lives = kept !== undefined && (supervised || (await leftBehind(instance.id)).size > 0);
  return lives ? kept : (await context.profile()).server.port;
}

/** Whether each MCP server has its port, or would get one: the preferred one, else the next free one of the range. */
export async function checkMcpPorts(context: CommandContext): Promise<Finding> {
  const [instance, profile, servers] = await Promise.all([context.instance(), context.profile(), context.mcpServers()]);
  const running = await statusNow(context);
  const [first, last] = profile.ports.mcp;
  const strangers: string[] = [];
  let waiting = 0;
  const enabled = servers.filter((server) => server.enabled && hasProcess(server));
  for (const { name, port } of enabled) {
    const service = running?.services.find((candidate) => candidate.name === `mcp:${name}`);
    const wanted = service?.pid === undefined ? port : service.port;
    const holder = wanted === undefined ? undefined : await holderOf(wanted);
    if (holder === undefined || (await ownService(holder, instance.id)) !== undefined) continue;
    strangers.push(`${wanted} of ${name} is held by ${nameOf(holder)}`);
    waiting += 1;
  }
  const range = `${first} to ${last}`;
  if (strangers.length === 0)
    return { state: 'ok', detail: `${enabled.length} in the range ${range}, no stranger on any` };
  const free = await freePort([first, last]);
  if (free === undefined) {
    return {
      state: 'fail',
      detail: `${strangers.join(', ')}, and no other port from ${range} is free: set ports.mcp in the profile`,
      shell: `ss -ltnp 'sport >= ${first} and sport <= ${last}'`,
    };
  }
  const instead = waiting === 1 ? `it gets ${free}` : `they get others, from ${free} on`;
  return {
    state: 'warn',
    detail: `${strangers.join(', ')}; ${instead}`,
    shell: `ss -ltnp 'sport >= ${first} and sport <= ${last}'`,
  };
}

/** The service of ours that a holder of a port is, by the mark that it carries. */
async function ownService({ pid }: PortHolder, installationId: string): Promise<string | undefined> {
  const mark = pid === undefined ? undefined : await markOf(pid);
  return mark?.installationId === installationId ? mark.service : undefined;
}

function nameOf({ pid, command }: PortHolder): string {
  const who = pid === undefined ? 'a process of another user' : `pid ${pid}`;
  return command === undefined ? who : `${who}, ${command}`;
}

/** Processes of ours that no supervisor has on record. */
export async function checkOrphans(context: CommandContext): Promise<Finding> {
  const { id } = await context.instance();
  const status = await statusNow(context);
  const orphans = await orphansOf(id, status);
  if (orphans.length === 0) return { state: 'ok', detail: 'none' };
  const names = orphans.map(({ service, identity }) => `${service} (pid ${identity.pid})`).join(', ');
  if (status === undefined) {
    const detail = `no supervisor looks after ${names}: a start takes over what it can use and ends the rest`;
    return { state: 'warn', detail, fix: 'infra services start' };
  }
  return { state: 'fail', detail: `on no record: ${names}`, fix: 'infra services cleanup' };
}
