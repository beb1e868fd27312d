import { configurationSentence } from '../../../lib/app/supervisor/configuration-sentence.ts';
import type {
  ConfigurationStatus,
  FilesStatus,
  InstanceStatus,
  ServiceHealth,
  ServiceStatus,
} from '../../../lib/app/supervisor/status.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';
import { readableLogLine } from '../../../lib/shared/text/log-line.ts';
import { harmless } from '../../../lib/shared/text/width.ts';

const columns: TableArtifact['columns'] = [
  { name: 'name', label: 'SERVICE', column_type: 'string' },
  { name: 'state', column_type: 'string' },
  { name: 'pid', column_type: 'integer' },
  { name: 'port', column_type: 'integer' },
  { name: 'ready_in', label: 'READY IN', column_type: 'duration' },
  { name: 'since', column_type: 'date' },
  { name: 'restarts', column_type: 'integer' },
];

/**
 * The services of a running instance; the same artifact in the terminal, as JSON and through the MCP tool.
 * @param withLogs the last lines of what has failed, for those who may read logs
 */
export function servicesTable(
  status: InstanceStatus,
  { withLogs = false }: { readonly withLogs?: boolean } = {},
): TableArtifact {
  const lastWords = withLogs ? status.services.flatMap(lastWordsOf) : [];
  const { configuration, files, warnings = [] } = status.supervisor;
  const notes = [...lastWords, ...refusalOf(configuration), ...notInForce(files), ...warnings];
  return rowsTable(titleOf(status), status.services, notes);
}

/** Services with a title; `more` are sentences to be shown below, behind those about the services themselves. */
export function rowsTable(
  title: string,
  services: readonly ServiceStatus[],
  more: readonly string[] = [],
): TableArtifact {
  const notes = [...services.flatMap(noteOf), ...more];
  return {
    type: 'table',
    title,
    columns,
    items: services.map(serviceRow),
    count: services.length,
    empty: 'No services found.',
    ...(notes.length === 0 ? {} : { notes }),
  };
}

/** Why nothing is started, for as long as that is so. */
function refusalOf(configuration: ConfigurationStatus | undefined): string[] {
  if (configuration === undefined || configuration.valid) return [];
  return [
    `Configuration invalid since ${formatDate(configuration.since)}: what runs is kept, nothing is started`,
    ...(configuration.error?.message.split('\n') ?? []),
  ];
}

/** What the files say and what does not hold, while the configuration of before is in force. */
function notInForce(files: FilesStatus | undefined): string[] {
  if (files === undefined || files.state === 'current') return [];
  return [
    `Configuration, since ${formatDate(files.since)}: ${configurationSentence({ ...files, steps: files.steps ?? [] })}`,
  ];
}

/** The address only while it is one: a boot that failed before its profile was read has none, one that ends soon has not. */
function titleOf({ url, supervisor }: InstanceStatus): string {
  const what = {
    running: url,
    booting: url === '' ? 'Starting' : `Starting ${url}`,
    failed: 'The start has failed, what was begun is being stopped',
    stopping: 'Stopping',
  }[supervisor.state];
  return `${what} (supervisor ${supervisor.pid})`;
}

/** What goes on without a supervisor, as a sentence without its end. */
export function leftRunning(left: readonly string[]): string {
  const names = left.length < 2 ? left.join('') : `${left.slice(0, -1).join(', ')} and ${left.at(-1)}`;
  return `No supervisor is running, but ${names} still ${left.length === 1 ? 'is' : 'are'}`;
}

/** What an instance would run, when no supervisor runs; `left` goes on without one, by name with its pid. */
export function stoppedTable(
  names: readonly string[],
  title: string,
  left: ReadonlyMap<string, number> = new Map(),
): TableArtifact {
  return {
    type: 'table',
    title,
    columns,
    items: names.map((name) => ({
      name,
      state: left.has(name) ? 'unsupervised' : 'stopped',
      pid: left.get(name) ?? null,
      port: null,
      ready_in: null,
      since: null,
      restarts: 0,
      error: null,
    })),
    count: names.length,
    empty: 'No services found.',
  };
}

/** Reasons are sentences: a column of them would leave no room for the rest, so each has a line below the table. */
function noteOf(service: ServiceStatus): string[] {
  const { name, lastError } = service;
  const health = isUp(service) ? healthNote(service.health) : undefined;
  const sentences = [lastError, health].filter((sentence) => sentence !== undefined);
  return sentences.length === 0 ? [] : [`${name}: ${sentences.join('; ')}`];
}

/** What the checks of a service that is up have against it. */
function healthNote(health: ServiceHealth | undefined): string | undefined {
  if (health === undefined || (health.serving && health.consecutive === 0 && health.reason === undefined))
    return undefined;
  const { serving, reason, consecutive, firstFailureAt } = health;
  const row = `${consecutive} ${consecutive === 1 ? 'check' : 'checks in a row'} failed`;
  return [
    ...(serving ? [] : ['no requests are routed to it']),
    ...(consecutive === 0 ? [] : [firstFailureAt === undefined ? row : `${row} since ${formatDate(firstFailureAt)}`]),
    ...(reason === undefined ? [] : [reason]),
  ].join(', ');
}

function isUp({ state }: ServiceStatus): boolean {
  return state === 'ready' || state === 'unhealthy';
}

/** What a service that has failed printed last. */
function lastWordsOf({ name, log = [] }: ServiceStatus): string[] {
  return log.map((line) => `${name} printed: ${harmless(readableLogLine(line))}`);
}

function serviceRow(service: ServiceStatus): TableArtifact['items'][number] {
  // What a service that is down or not up yet did in its last run says nothing of now.
  const up = isUp(service);
  const { health, resources } = service;
  return {
    name: service.name,
    state: service.state,
    pid: service.pid ?? null,
    port: service.port ?? null,
    ready_in: (up ? service.readyMs : undefined) ?? null,
    since: (up ? (service.readyAt ?? service.startedAt) : undefined) ?? null,
    restarts: service.restarts,
    error: service.lastError ?? null,
    serving: health?.serving ?? null,
    checks: health?.checks ?? null,
    checks_failed: health?.failures ?? null,
    checks_failed_in_a_row: health?.consecutive ?? null,
    first_failure_at: health?.firstFailureAt ?? null,
    downtime_ms: health?.downtimeMs ?? null,
    latency_ms: health?.latencyMs ?? null,
    event_loop_delay_ms: health?.eventLoopDelayMs ?? null,
    tools: health?.tools ?? null,
    memory_bytes: resources?.rssBytes ?? null,
    cpu_percent: resources?.cpuPercent ?? null,
    open_files: resources?.openFiles ?? null,
  };
}
