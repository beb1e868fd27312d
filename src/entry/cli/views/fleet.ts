import { artefactOf, type FleetServer } from '../../../lib/app/fleet/fleet.ts';
import { variablesOf } from '../../../lib/app/fleet/variables.ts';
import type { PresentationCardArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

/** All MCP servers of the configuration, one a line. */
export function fleetTable(servers: readonly FleetServer[]): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'name', label: 'SERVER', column_type: 'string' },
      { name: 'kind', column_type: 'string' },
      { name: 'state', column_type: 'string' },
      { name: 'tools', column_type: 'integer' },
      { name: 'scopes', column_type: 'string' },
      { name: 'url', column_type: 'link' },
      { name: 'description', column_type: 'string' },
    ],
    items: servers.map(serverRow),
    count: servers.length,
    empty: 'No MCP servers found.',
    ...notesOf(servers),
  };
}

/** How the servers are that have a process. */
export function fleetStatusTable(servers: readonly FleetServer[]): TableArtifact {
  const guarded = servers.some(({ circuit }) => circuit !== undefined);
  return {
    type: 'table',
    columns: [
      { name: 'name', label: 'SERVER', column_type: 'string' },
      { name: 'state', column_type: 'string' },
      { name: 'pid', column_type: 'integer' },
      { name: 'port', column_type: 'integer' },
      { name: 'since', column_type: 'date' },
      { name: 'latency_ms', label: 'ANSWERS IN', column_type: 'duration' },
      ...(guarded ? [{ name: 'circuit', column_type: 'string' as const }] : []),
      { name: 'checks_failed', label: 'FAILED', column_type: 'integer' },
      { name: 'restarts', column_type: 'integer' },
      { name: 'tools', column_type: 'integer' },
      { name: 'artefact', column_type: 'string' },
    ],
    items: servers.map(serverRow),
    count: servers.length,
    empty: 'No MCP servers found.',
    ...notesOf(servers),
  };
}

/** What is to be seen to. */
function notesOf(servers: readonly FleetServer[]): { readonly notes?: string[] } {
  const notes = servers.flatMap(({ config, state, status, tools }) => {
    const held = (tools ?? []).filter((tool) => tool.state === 'held').length;
    return [
      ...(state === 'dev only' ? [`${config.name}: dev_only, so it is left out in production`] : []),
      ...(status?.lastError === undefined ? [] : [`${config.name}: ${status.lastError}`]),
      ...(status?.health?.reason === undefined ? [] : [`${config.name}: ${status.health.reason}`]),
      ...(held === 0 ? [] : [`${config.name}: ${held} ${held === 1 ? 'tool is' : 'tools are'} held until approved`]),
    ];
  });
  return notes.length === 0 ? {} : { notes };
}

function serverRow({
  config,
  url,
  state,
  status,
  latencyMs,
  circuit,
  tools,
}: FleetServer): TableArtifact['items'][number] {
  const { health } = status ?? {};
  return {
    name: config.name,
    kind: config.kind,
    enabled: config.enabled,
    state,
    tools: tools?.length ?? health?.tools ?? null,
    scopes: config.oauth.scopes.join(' '),
    url,
    description: config.description,
    artefact: artefactOf(config),
    pid: status?.pid ?? null,
    port: status?.port ?? null,
    since: status?.readyAt ?? status?.startedAt ?? null,
    latency_ms: latencyMs === undefined ? null : Math.ceil(latencyMs),
    circuit: circuit?.replace('_', ' ') ?? null,
    checks_failed: health?.failures ?? null,
    restarts: status?.restarts ?? null,
    serving: health?.serving ?? null,
    dev_only: config.devOnly,
    held_tools: (tools ?? []).filter((tool) => tool.state === 'held').length,
    error: status?.lastError ?? null,
  };
}

/** Everything that is known of one server; of variables their names alone. */
export function fleetCard(server: FleetServer): PresentationCardArtifact {
  const { config, url, state, status, latencyMs, circuit, tools } = server;
  const variables = variablesOf(config);
  const limit = config.rateLimit;
  const process = status?.pid === undefined ? [] : [`pid ${status.pid}`];
  const since = status?.readyAt === undefined ? [] : [`since ${formatDate(status.readyAt)}`];
  const latency = latencyMs === undefined ? [] : [`answers in ${Math.ceil(latencyMs)} ms`];
  const breaker = circuit === undefined ? [] : [`circuit breaker ${circuit.replace('_', ' ')}`];
  const sections = [
    { heading: 'Address', content: url },
    { heading: 'Runs', content: artefactOf(config) },
    { heading: 'State', content: [state, ...process, ...since, ...latency, ...breaker].join(', ') },
    { heading: 'Sign-in', content: `scopes: ${config.oauth.scopes.join(' ')}` },
    ...(tools === undefined ? [] : [{ heading: 'Tools', content: tools.map(toolLine(config)).join('\n') || 'none' }]),
    ...(variables.length === 0 ? [] : [{ heading: 'Variables', content: variables.map(variableLine).join('\n') }]),
    ...(config.schemas === undefined
      ? []
      : [
          {
            heading: `Tables (${config.schemas.mode})`,
            content: config.schemas.tables.map(({ table }) => table).join('\n'),
          },
        ]),
    {
      heading: 'Limits',
      content: [
        `tools are offered ${config.toolPolicy === 'auto' ? 'at once' : 'when they are approved'}`,
        ...(config.breaker === undefined
          ? []
          : [`left alone for ${config.breaker.cooldownMs} ms after ${config.breaker.failures} failures in a row`]),
        ...(limit === undefined ? [] : [`${limit.requests} calls in ${limit.perSeconds} s, counted per ${limit.per}`]),
      ].join('\n'),
    },
  ];
  return {
    type: 'presentation_card',
    title: config.displayName,
    subtitle: `${config.name}, ${config.kind}: ${config.description}`,
    sections,
    data: {
      ...serverRow(server),
      display_name: config.displayName,
      display_in_web: config.displayInWeb,
      tools: (tools ?? []).map(({ name, description, state: toolState }) => ({
        name,
        description: description ?? null,
        state: toolState,
        scopes: config.tools.get(name)?.scopes ?? [],
      })),
      variables,
      schemas:
        config.schemas === undefined
          ? null
          : { mode: config.schemas.mode, tables: config.schemas.tables.map(({ table }) => table) },
      tool_policy: config.toolPolicy,
    },
  };
}

function toolLine({ tools }: FleetServer['config']) {
  return (tool: NonNullable<FleetServer['tools']>[number]): string => {
    const scopes = tools.get(tool.name)?.scopes ?? [];
    const marks = [...(tool.state === 'held' ? ['held'] : []), ...scopes.map((scope) => `needs ${scope}`)];
    return marks.length === 0 ? tool.name : `${tool.name} (${marks.join(', ')})`;
  };
}

function variableLine({ name, required, secret, from }: ReturnType<typeof variablesOf>[number]): string {
  const marks = [
    ...(required ? ['required'] : []),
    ...(secret ? ['secret'] : []),
    ...(from === 'user' ? ['of each user'] : []),
  ];
  return marks.length === 0 ? name : `${name} (${marks.join(', ')})`;
}
