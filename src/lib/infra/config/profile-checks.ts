import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ConfigIssue } from '../../shared/errors.ts';
import { isWithin } from '../../shared/paths.ts';
import { resolveServicesDir } from './instance.ts';
import type { ProfileFile } from './profile-schema.ts';
import { readTlsFiles } from './tls-files.ts';
import type { ParsedYaml } from './yaml.ts';

type Parsed = Pick<ParsedYaml<ProfileFile>, 'value' | 'issue'>;

/** Whose profile it is, beside what its file says. */
export interface ProfilePlace {
  readonly name: string;
  /** Absolute; where paths in the file begin. */
  readonly folder: string;
  /** The tenant as {@link scanTenant} finds it. */
  readonly tenant: string;
}

/** What the schema can't see: fields that must fit each other, and files that they name. */
export async function profileIssues(parsed: Parsed, place: ProfilePlace): Promise<ConfigIssue[]> {
  return [
    ...betweenFields(parsed, place.name),
    ...tenantIssues(parsed, place.tenant),
    ...(await tlsIssues(parsed, place.folder)),
    ...servicesIssues(parsed, place.folder),
  ];
}

/** A certificate that can't be used is found before anything starts. */
async function tlsIssues({ value, issue }: Parsed, folder: string): Promise<ConfigIssue[]> {
  const { certificate, key } = value.server.https;
  if (certificate === undefined || key === undefined) return [];
  const read = await readTlsFiles({ certificate: resolve(folder, certificate), key: resolve(folder, key) });
  if (!('faults' in read)) return [];
  return read.faults.map(({ field, message, hint }) => issue(['server', 'https', field], message, hint));
}

/** The folder has to be there, and apart from what is private or would have the whole project read. */
function servicesIssues({ value, issue }: Parsed, folder: string): ConfigIssue[] {
  const projectDir = resolve(folder, '../..');
  const named = resolveServicesDir(dirname(projectDir), value.paths.services);
  if (named === undefined) return [];
  const at = ['paths', 'services'];
  if (isWithin(projectDir, named) || isWithin(named, projectDir)) {
    const hint = 'name a folder of its own, such as config/services';
    return [issue(at, '`paths.services` is, holds or lies in the private state of the project', hint)];
  }
  if (statSync(named, { throwIfNoEntry: false })?.isDirectory() === true) return [];
  return [issue(at, `there is no folder ${named}`, 'make it, or name another')];
}

function betweenFields({ value: file, issue }: Parsed, name: string): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  if (file.name !== undefined && file.name !== name) {
    const hint = `write ${name}, or leave it out`;
    issues.push(issue(['name'], `\`name\` differs from the profile's folder \`${name}\``, hint));
  }
  const { https, external_url: externalUrl } = file.server;
  for (const [given, missing] of [['certificate', 'key'] as const, ['key', 'certificate'] as const]) {
    if (https[given] === undefined || https[missing] !== undefined) continue;
    const message = `\`server.https.${missing}\` is missing`;
    issues.push(issue(['server', 'https', given], message, 'name both files, or none'));
  }
  if (file.target === 'cloud' && externalUrl === undefined) {
    const hint = 'write the address that clients use, such as https://prompt.example.com';
    issues.push(issue(['target'], '`server.external_url` is missing, which `target: cloud` needs', hint));
  }
  const { mcp, agents } = file.ports;
  if (mcp[0] <= agents[1] && agents[0] <= mcp[1]) {
    issues.push(issue(['ports', 'agents'], '`ports.agents` overlaps `ports.mcp`', 'give each a range of its own'));
  }
  return [...issues, ...metricsPortIssues(file, issue), ...federationIssues(file, issue)];
}

function metricsPortIssues(file: ProfileFile, issue: Parsed['issue']): ConfigIssue[] {
  const { metrics, metrics_port: port } = file.telemetry;
  if (port === undefined) return [];
  const at = ['telemetry', 'metrics_port'];
  const issues: ConfigIssue[] = [];
  if (metrics === 'off') {
    const hint = 'write `metrics: on` beside it, or leave it out';
    issues.push(issue(at, '`telemetry.metrics_port` is of no use while `telemetry.metrics` is off', hint));
  }
  if (port === file.server.port) {
    issues.push(issue(at, '`telemetry.metrics_port` is `server.port`', 'give it a port of its own'));
  }
  for (const name of ['mcp', 'agents'] as const) {
    const [first, last] = file.ports[name];
    if (port < first || port > last) continue;
    const hint = `choose one outside of ${first} to ${last}`;
    issues.push(issue(at, `\`telemetry.metrics_port\` lies in \`ports.${name}\``, hint));
  }
  return issues;
}

function federationIssues({ security }: ProfileFile, issue: Parsed['issue']): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const { federation } = security;
  federation.forEach(({ id, create_users: creates, domains }, index) => {
    const at = ['security', 'federation', index];
    if (federation.findIndex((other) => other.id === id) !== index) {
      issues.push(issue([...at, 'id'], `There is another provider \`${id}\``, 'give each an id of its own'));
    }
    if (creates === 'domains' && domains.length === 0) {
      const hint = 'name the domains whose addresses make somebody a user';
      issues.push(issue([...at, 'create_users'], '`domains` is missing, which `create_users: domains` needs', hint));
    }
    if (creates !== 'domains' && domains.length > 0) {
      const hint = 'write `create_users: domains`, or leave it out';
      issues.push(issue([...at, 'domains'], '`domains` is of no use without `create_users: domains`', hint));
    }
  });
  return issues;
}

/** Commands that start quickly find the tenant by a look at the text; the parser must have found the same. */
function tenantIssues({ value, issue }: Parsed, scanned: string): ConfigIssue[] {
  if (value.tenant === scanned) return [];
  const hint = `write it at the left margin as \`tenant: ${value.tenant}\``;
  return [issue(['tenant'], '`tenant` must be a plain name on a line of its own', hint)];
}
