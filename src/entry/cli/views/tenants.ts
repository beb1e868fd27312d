import type { TenantOverview } from '../../../lib/app/tenants/overview.ts';
import type { PresentationCardArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';

/** The tenants of a project. */
export function tenantsTable(tenants: readonly TenantOverview[]): TableArtifact {
  const notes = tenants.flatMap(({ name, reason }) => (reason === undefined ? [] : [`${name}: ${reason}`]));
  return {
    type: 'table',
    columns: [
      { name: 'name', label: 'TENANT', column_type: 'string' },
      { name: 'active', column_type: 'boolean' },
      { name: 'state', column_type: 'string' },
      { name: 'profiles', column_type: 'string' },
      { name: 'api_port', label: 'API', column_type: 'integer' },
      { name: 'mcp_ports', label: 'MCP', column_type: 'string' },
      { name: 'agent_ports', label: 'AGENTS', column_type: 'string' },
      { name: 'database', column_type: 'string' },
    ],
    items: tenants.map((tenant) => ({
      name: tenant.name,
      active: tenant.active,
      type: tenant.type,
      state: tenant.state,
      profiles: tenant.profiles.join(', '),
      api_port: tenant.ports?.api ?? null,
      mcp_ports: tenant.ports?.mcp.join('-') ?? null,
      agent_ports: tenant.ports?.agents.join('-') ?? null,
      database: tenant.database,
    })),
    count: tenants.length,
    ...(notes.length === 0 ? {} : { notes }),
  };
}

/** One tenant, with where everything of it is. */
export function tenantCard(
  title: string,
  tenant: TenantOverview,
  more: readonly string[] = [],
): PresentationCardArtifact {
  const { ports } = tenant;
  const place =
    ports === undefined ? '' : `API ${ports.api}, MCP servers ${ports.mcp.join('-')}, agents ${ports.agents.join('-')}`;
  const sections = [
    { heading: 'State', content: tenant.reason === undefined ? tenant.state : `${tenant.state}: ${tenant.reason}` },
    { heading: 'Profiles', content: tenant.profiles.join(', ') },
    { heading: 'Address', content: tenant.url ?? '' },
    { heading: 'Ports', content: place },
    { heading: 'Database', content: tenant.database },
    { heading: 'State lies in', content: tenant.dir },
    { heading: 'Next', content: more.join('\n') },
  ];
  return {
    type: 'presentation_card',
    title,
    sections: sections.filter(({ content }) => content !== ''),
    data: { ...tenant },
  };
}
