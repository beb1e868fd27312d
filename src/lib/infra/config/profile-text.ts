import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isBelow } from '../../shared/paths.ts';
import { defaultTenant } from './active-profile.ts';
import { packageRoot } from './package-root.ts';
import type { TenantPorts } from './tenants-file.ts';

/** A new profile. */
export interface ProfileDraft {
  readonly name: string;
  readonly tenant: string;
  /** Those of the tenant, when they are not the defaults. */
  readonly ports?: TenantPorts | undefined;
  /** `database.url` as it is to be written: a reference to a secret. */
  readonly databaseUrl?: string | undefined;
}

/**
 * The text of a new profile: says only what is not a default; the comments show what a user changes first.
 * @param root the project's folder
 */
export function profileText({ name, tenant, ports, databaseUrl }: ProfileDraft, root: string): string {
  const tenantLines =
    tenant === defaultTenant ? '' : `# Whose data, secrets and database these settings are for.\ntenant: ${tenant}\n`;
  const database =
    databaseUrl === undefined
      ? `# A PostgreSQL server of your own instead of the embedded one (a secret, or the URL as it is):
# database:
#   url: \${secret:database.url}
`
      : `database:\n  url: ${databaseUrl}\n`;
  const ranges =
    ports === undefined || tenant === defaultTenant
      ? ''
      : `
# Set aside for this tenant, so that several run at once.
ports:
  mcp: [${ports.mcp.join(', ')}]
  agents: [${ports.agents.join(', ')}]
`;
  return `# yaml-language-server: $schema=${schemaReference(root)}
# Every field, its default and its range: docs/configuration.md. Without a field its default holds.
name: ${name}
${tenantLines}
server:
  host: localhost
  port: ${ports?.api ?? 8080}
  # The address that clients use, when it is not http://localhost:<port>:
  # external_url: https://prompt.example.com
${ranges}
${database}`;
}

/** Relative when the package lies in the project, so that the folder can be moved; else a file URL. */
function schemaReference(root: string): string {
  const schema = join(packageRoot(), 'schemas/profile.schema.json');
  return isBelow(root, schema) ? join('../../..', relative(root, schema)) : pathToFileURL(schema).href;
}
