import type { Database } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';

// What the database knows of the MCP servers beside their configuration: how their processes are, and which tools they have.

/** How the process of a server is. Times are ISO 8601, UTC. */
export interface ProcessFacts {
  readonly state: string;
  readonly pid: number | undefined;
  readonly port: number | undefined;
  readonly instanceId: string | undefined;
  readonly startedAt: string | undefined;
  readonly readyAt: string | undefined;
  readonly restarts: number;
  /** Whether requests are routed to it. */
  readonly serving: boolean;
  /** Why it does not serve, or what is wrong although it does. */
  readonly reason: string | undefined;
  /** Checks in a row that failed up to now. */
  readonly failuresInARow: number;
  readonly lastError: string | undefined;
}

/** One tool of a server, as its last list has it. */
export interface FleetTool {
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  /** `held`: may not be called until somebody approves it. */
  readonly state: 'approved' | 'held';
  readonly reason: string | undefined;
}

export interface FleetFacts {
  /** By the name of the server. */
  readonly processes: ReadonlyMap<string, ProcessFacts>;
  /** By the name of the server; none of one that was never asked. */
  readonly tools: ReadonlyMap<string, readonly FleetTool[]>;
}

interface ProcessRow {
  readonly name: string;
  readonly state: string;
  readonly pid: number | null;
  readonly port: number | null;
  readonly instance_id: string | null;
  readonly started_at: Date | null;
  readonly ready_at: Date | null;
  readonly restarts: number;
  readonly serving: boolean;
  readonly health_reason: string | null;
  readonly failures_in_row: number;
  readonly last_error: string | null;
}

interface ToolRow {
  readonly server: string;
  readonly name: string;
  readonly title: string | null;
  readonly description: string | null;
  readonly state: 'approved' | 'held';
  readonly reason: string | null;
}

/**
 * Reads all of it: two queries, however many servers there are.
 * @param installationId whose processes; every installation's in a database that only one uses when none is given
 * @param own servers that give each user a list of their own, and whose list is asked for; nobody's unless told
 * @throws DatabaseUnavailableError
 */
export async function fleetFacts(
  database: Pick<Database, 'query'>,
  installationId: string | undefined,
  own: { readonly servers: readonly string[]; readonly userId?: UserId | undefined },
): Promise<FleetFacts> {
  const [processes, tools] = await Promise.all([
    database.query<ProcessRow>(
      `SELECT DISTINCT ON (name) name, state, pid, port, instance_id, started_at, ready_at, restarts, serving, health_reason,
         failures_in_row, last_error
       FROM services WHERE kind = 'mcp' AND ($1::uuid IS NULL OR installation_id = $1::uuid) ORDER BY name, updated_at DESC`,
      [installationId ?? null],
    ),
    database.query<ToolRow>(
      `SELECT server, name, definition->>'title' AS title, definition->>'description' AS description, state, reason
       FROM mcp.tools t WHERE state <> 'gone' AND (CASE WHEN server = ANY($1)
         THEN EXISTS (SELECT FROM mcp.user_tools u WHERE u.server = t.server AND u.user_id = $2 AND u.tools->>t.name = t.form)
         ELSE form = '' END)
       ORDER BY server, name`,
      [own.servers, own.userId ?? null],
    ),
  ]);
  const byServer = new Map<string, FleetTool[]>();
  for (const { server, name, title, description, state, reason } of tools) {
    const list = byServer.get(server) ?? [];
    list.push({
      name,
      title: title ?? undefined,
      description: description ?? undefined,
      state,
      reason: reason ?? undefined,
    });
    byServer.set(server, list);
  }
  return {
    processes: new Map(processes.map((row) => [row.name.slice('mcp:'.length), processOf(row)])),
    tools: byServer,
  };
}

function processOf(row: ProcessRow): ProcessFacts {
  return {
    state: row.state,
    pid: row.pid ?? undefined,
    port: row.port ?? undefined,
    instanceId: row.instance_id ?? undefined,
    startedAt: row.started_at?.toISOString(),
    readyAt: row.ready_at?.toISOString(),
    restarts: row.restarts,
    serving: row.serving,
    reason: row.health_reason ?? undefined,
    failuresInARow: row.failures_in_row,
    lastError: row.last_error ?? undefined,
  };
}
