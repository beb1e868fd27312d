import type { ProjectPlace } from '../../infra/config/active-profile.ts';
import { loadProfile, profileNames } from '../../infra/config/profile.ts';
import type { TenantPorts, TenantRecord } from '../../infra/config/tenants-file.ts';
import { isPortFree } from '../../infra/process/ports.ts';
import { AppError, ConflictError, PortTakenError, UsageError } from '../../shared/errors.ts';

/** How many ports a tenant gets: one for the API, then those of MCP servers, then those of agents. */
const blockSize = 200;
const agentsFrom = 100;
/** Above what people and other systems use by default, and below the ports of outgoing connections (Linux: 32768-60999). */
const blocks = { first: 20_000, end: 32_600 };

type Range = readonly [number, number];

/** Ports that are spoken for, and by whom. */
export interface ReservedPorts {
  readonly range: Range;
  readonly by: string;
}

/** The ports of the tenant `local`, as a profile has them that names none. */
export const defaultPorts: TenantPorts = { api: 8080, mcp: [5000, 5999], agents: [9000, 9999] };

/** @returns the port @throws PortTakenError when somebody listens on it */
export async function freePort(port: number): Promise<number> {
  if (await isPortFree(port)) return port;
  throw new PortTakenError(`Port ${port} is taken.`, { hint: 'Choose another --port-base.', data: { port } });
}

/** The ports of a tenant that begin with a number. */
export function portBlock(base: number): TenantPorts {
  return {
    api: base,
    mcp: [base + 1, base + agentsFrom - 1],
    agents: [base + agentsFrom, base + blockSize - 1],
  };
}

/** What the tenants of a project have set aside, and what their profiles say now. A profile that does not hold is left out. */
export async function reservedPorts(
  project: Pick<ProjectPlace, 'projectDir'>,
  tenants: readonly TenantRecord[],
): Promise<ReservedPorts[]> {
  const reserved: ReservedPorts[] = tenants.flatMap(({ name, ports }) =>
    ports === undefined ? [] : rangesOf(ports).map((range) => ({ range, by: `the tenant \`${name}\`` })),
  );
  for (const name of await profileNames(project)) {
    try {
      const { server, ports } = await loadProfile(project, name, {});
      const ranges: Range[] = [[server.port, server.port], ports.mcp, ports.agents];
      reserved.push(...ranges.map((range) => ({ range, by: `the profile \`${name}\`` })));
    } catch (error) {
      if (!(error instanceof AppError)) throw error; // it is said when that profile is used
    }
  }
  return reserved;
}

/**
 * Ports for a new tenant: those from `base` on, or the first block that nobody has and on which nobody listens.
 * @param base the number that was asked for
 * @throws UsageError, ConflictError naming who has them, PortTakenError when somebody listens on one
 */
export async function choosePorts(reserved: readonly ReservedPorts[], base: number | undefined): Promise<TenantPorts> {
  if (base !== undefined) return await askedFor(reserved, base);
  for (let first = blocks.first; first + blockSize <= blocks.end; first += blockSize) {
    if (holderIn(reserved, first) !== undefined || (await takenFrom(first)) !== undefined) continue;
    return portBlock(first);
  }
  throw new PortTakenError(`No ${blockSize} ports in a row are free from ${blocks.first} to ${blocks.end}.`, {
    hint: 'Name a free place with --port-base.',
  });
}

async function askedFor(reserved: readonly ReservedPorts[], base: number): Promise<TenantPorts> {
  const last = base + blockSize - 1;
  if (last > 65_535) {
    throw new UsageError(`From ${base} on there are no ${blockSize} ports.`, {
      hint: `--port-base may be at most ${65_535 - blockSize + 1}`,
    });
  }
  const holder = holderIn(reserved, base);
  if (holder !== undefined) {
    const { range, by } = holder;
    throw new ConflictError(`The ports from ${base} to ${last} overlap ${range[0]} to ${range[1]}, which ${by} has.`, {
      hint: 'Choose another --port-base, or leave it out: free ports are found then.',
      next: ['cloud tenant list'],
    });
  }
  const taken = await takenFrom(base);
  if (taken === undefined) return portBlock(base);
  throw new PortTakenError(`Port ${taken} is taken, and the tenant would have ${base} to ${last}.`, {
    hint: 'Choose another --port-base, or leave it out: free ports are found then.',
    data: { port: taken },
  });
}

function holderIn(reserved: readonly ReservedPorts[], base: number): ReservedPorts | undefined {
  return reserved.find(({ range }) => range[0] < base + blockSize && base <= range[1]);
}

async function takenFrom(base: number): Promise<number | undefined> {
  for (let port = base; port < base + blockSize; port += 1) if (!(await isPortFree(port))) return port;
  return undefined;
}

function rangesOf({ api, mcp, agents }: TenantPorts): Range[] {
  return [[api, api], mcp, agents];
}
