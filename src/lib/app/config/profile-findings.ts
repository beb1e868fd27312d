import { dirname } from 'node:path';
import { scanTenant } from '../../infra/config/active-profile.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { profileFile } from '../../infra/config/profile.ts';
import { profileIssues } from '../../infra/config/profile-checks.ts';
import type { ProfileFile } from '../../infra/config/profile-schema.ts';
import { quoted } from '../../infra/config/quoted.ts';
import { readTenants } from '../../infra/config/tenants-file.ts';
import type { ParsedYaml } from '../../infra/config/yaml.ts';
import { displayPath } from '../../infra/config/yaml-source.ts';
import type { ConfigIssue } from '../../shared/errors.ts';

/**
 * What is wrong with a profile beyond its schema, by its own rules and among the tenants that there are.
 * @param text of the profile as it would be
 * @throws ConfigInvalidError for a line about the tenant that only YAML understands
 */
export async function profileFindings(
  project: Instance,
  name: string,
  parsed: ParsedYaml<ProfileFile>,
  text: string,
): Promise<ConfigIssue[]> {
  const file = profileFile(project, name);
  const tenant = scanTenant(text, displayPath(file));
  const issues = await profileIssues(parsed, { name, folder: dirname(file), tenant });
  const tenants = (await readTenants(project)).map(({ id }) => id);
  if (!tenants.includes(tenant)) {
    const message = `the tenant ${quoted(tenant)} does not exist`;
    issues.push(parsed.issue(['tenant'], message, `there is: ${tenants.join(', ')}`));
  }
  return issues;
}
