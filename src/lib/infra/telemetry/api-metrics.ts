import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { PoolUsage } from '../database/connection.ts';
import { measureProcess } from './process-metrics.ts';

export interface ApiMetricsOptions {
  /** This run of the process. */
  readonly instanceId: string;
  /** Name of the service, `api` or `api:2`. */
  readonly service: string;
  readonly version: string;
  /** Names of the MCP servers; each is there from the beginning, with no calls. */
  readonly servers: readonly string[];
  /** The groups whose refusals are counted; none where requests are not counted. */
  readonly rateGroups: readonly string[];
}

/** How a tool call ended: answered as its tool means it, gone wrong on the way, or never made. */
export type CallOutcome = 'success' | 'error' | 'refused';

/** Stands for tools that have no series of their own. */
const otherTools = 'other';
/** Tools of all servers that have series of their own in one process. */
const maxTools = 500;

const httpBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const callBuckets = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120];
const commitBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/**
 * The measures of one API process. Every sample carries the id of this run: a restart begins another set of series at
 * zero, so that no sum over processes ever goes back. Labels have few values, all of them ours or configured.
 */
export class ApiMetrics {
  readonly #registry = new Registry();
  readonly #requests: Histogram<'group' | 'method' | 'status'>;
  readonly #calls: Counter<'server' | 'tool' | 'outcome' | 'reason'>;
  readonly #callDuration: Histogram<'server' | 'tool' | 'outcome'>;
  /** Tools that have series of their own, by server. */
  readonly #tools = new Map<string, Set<string>>();
  #toolCount = 0;
  readonly #commits: Histogram<'result'>;
  readonly #refusals: Counter<'group'>;
  readonly #circuits: Gauge<'server'>;
  readonly #circuitOpenings: Counter<'server'>;
  readonly #endProcess: () => void;

  constructor(options: ApiMetricsOptions) {
    const registers = [this.#registry];
    this.#registry.setDefaultLabels({ instance_id: options.instanceId });
    new Gauge({
      name: 'systemprompt_build_info',
      help: 'Always 1; the labels say what runs.',
      labelNames: ['service', 'version', 'node'],
      registers,
    }).set({ service: options.service, version: options.version, node: process.versions.node }, 1);
    this.#requests = new Histogram({
      name: 'systemprompt_http_request_duration_seconds',
      help: 'From the arrival of a request until its answer was sent or its connection was gone.',
      labelNames: ['group', 'method', 'status'],
      buckets: httpBuckets,
      registers,
    });
    this.#calls = new Counter({
      name: 'systemprompt_mcp_tool_calls_total',
      help: 'Tool calls that came to an end, with the code of the error where there is none of success.',
      labelNames: ['server', 'tool', 'outcome', 'reason'],
      registers,
    });
    this.#callDuration = new Histogram({
      name: 'systemprompt_mcp_tool_call_duration_seconds',
      help: 'From the arrival of a tool call until its outcome was recorded in the audit.',
      labelNames: ['server', 'tool', 'outcome'],
      buckets: callBuckets,
      registers,
    });
    for (const server of options.servers)
      this.#calls.inc({ server, tool: otherTools, outcome: 'success', reason: 'none' }, 0);
    this.#commits = new Histogram({
      name: 'systemprompt_audit_commit_duration_seconds',
      help: 'Statements that wrote rows of the audit, each a commit of all rows that waited.',
      labelNames: ['result'],
      buckets: commitBuckets,
      registers,
    });
    for (const result of ['committed', 'failed']) this.#commits.zero({ result });
    this.#refusals = new Counter({
      name: 'systemprompt_rate_limit_refusals_total',
      help: 'Requests that were one too many, by rate limit group.',
      labelNames: ['group'],
      registers,
    });
    for (const group of options.rateGroups) this.#refusals.inc({ group }, 0);
    this.#circuits = new Gauge({
      name: 'systemprompt_mcp_circuit_state',
      help: 'Whether requests are sent to an MCP server: 0 they are, 1 one tries whether it answers, 2 they are not.',
      labelNames: ['server'],
      registers,
    });
    this.#circuitOpenings = new Counter({
      name: 'systemprompt_mcp_circuit_openings_total',
      help: 'How often an MCP server failed so often in a row that nothing was sent to it for a while.',
      labelNames: ['server'],
      registers,
    });
    for (const server of options.servers) {
      this.#circuits.set({ server }, 0);
      this.#circuitOpenings.inc({ server }, 0);
    }
    this.#endProcess = measureProcess(this.#registry);
  }

  /** @param ms from the arrival of the request until its answer was sent or its connection was gone */
  request(group: string, method: string, status: string, ms: number): void {
    this.#requests.observe({ group, method, status }, ms / 1000);
  }

  /**
   * @param tool nothing where the server has none of that name: what callers make up becomes no series
   * @param ms from the arrival of the call until its outcome was recorded
   */
  toolCall(server: string, tool: string | undefined, outcome: CallOutcome, reason: string, ms: number): void {
    const label = this.#toolLabel(server, tool);
    this.#calls.inc({ server, tool: label, outcome, reason });
    this.#callDuration.observe({ server, tool: label, outcome }, ms / 1000);
  }

  /** The first {@link maxTools} that are called have a label; the rest share one, so that no server fills the memory. */
  #toolLabel(server: string, tool: string | undefined): string {
    if (tool === undefined) return otherTools;
    const known = this.#tools.get(server);
    if (known?.has(tool)) return tool;
    if (this.#toolCount >= maxTools) return otherTools;
    this.#toolCount += 1;
    if (known === undefined) this.#tools.set(server, new Set([tool]));
    else known.add(tool);
    return tool;
  }

  circuit(server: string, state: 'closed' | 'half_open' | 'open'): void {
    this.#circuits.set({ server }, state === 'closed' ? 0 : state === 'half_open' ? 1 : 2);
    if (state === 'open') this.#circuitOpenings.inc({ server });
  }

  auditCommit(ms: number, committed: boolean): void {
    this.#commits.observe({ result: committed ? 'committed' : 'failed' }, ms / 1000);
  }

  rateLimitRefusal(group: string): void {
    this.#refusals.inc({ group });
  }

  /** Reads a pool whenever somebody asks. */
  watchPool(usage: () => PoolUsage): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'systemprompt_database_pool_connections',
      help: 'Connections to the database that are open or being opened; the audit has its own beside them.',
      labelNames: ['state'],
      registers,
      collect() {
        const { inUse, idle } = usage();
        this.set({ state: 'in_use' }, inUse);
        this.set({ state: 'idle' }, idle);
      },
    });
    new Gauge({
      name: 'systemprompt_database_pool_waiting',
      help: 'Statements that wait for a connection of the pool.',
      registers,
      collect() {
        this.set(usage().waiting);
      },
    });
    new Gauge({
      name: 'systemprompt_database_pool_limit',
      help: 'Most connections of the pool at once.',
      registers,
      collect() {
        this.set(usage().limit);
      },
    });
  }

  /** All of it in the text format of Prometheus, version 0.0.4. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  close(): void {
    this.#endProcess();
  }
}
