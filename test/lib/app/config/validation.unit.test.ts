import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configPlaces } from '../../../../src/lib/app/config/paths.ts';
import { validateConfiguration } from '../../../../src/lib/app/config/validation.ts';
import { configProject, profilePath, serverYaml } from '../../../helpers/config-project.ts';

async function found(files: Readonly<Record<string, string>>, secrets: readonly string[] = []) {
  await using project = await configProject(files);
  const result = await validateConfiguration(project.instance, 'local', {}, new Set(secrets));
  const findings = result.findings.map(
    ({ level, file, line, column, message }) => `${level} ${file}:${line}:${column} ${message}`,
  );
  return { ...result, findings: findings.map((text) => text.replace(`${project.path}/`, '')) };
}

describe('validateConfiguration', () => {
  it('counts the files and what is in them', async () => {
    const { findings, files, items } = await found({ 'services/mcp/crm.yaml': serverYaml('crm', 5005) });
    expect(findings).toEqual([]);
    expect(files.map(({ kind }) => kind)).toEqual(['profile', 'mcp']);
    expect(items).toMatchObject({ mcp_servers: 1, agents: 0 });
  });

  it('tells errors of all files, then warnings', async () => {
    const { findings } = await found({
      [profilePath]: 'ports: {mcp: [5000, 9500]}\n',
      'services/mcp/crm.yaml': serverYaml('crm', 80),
      'services/ai/openai.yaml': 'ai: {}\n',
    });
    expect(findings).toEqual([
      `error ${profilePath}:1:8 \`ports.agents\` overlaps \`ports.mcp\``,
      'error services/mcp/crm.yaml:5:11 `mcp_servers.crm.port` must be at least 1024',
      'warning services/ai/openai.yaml:1:1 nothing reads this file',
    ]);
  });

  it('warns of secrets that are not kept, and of passwords that are written out', async () => {
    const env =
      '    env: { KEY: "${secret:KEY}", ONE: "${secret:OWN}", GONE: "${secret:GONE}" }\n    variables: { KEY2: { required: true }, OWN: {} }\n';
    const { findings } = await found(
      {
        [profilePath]: 'database: { url: "postgres://app:hunter2@db/x" }\n',
        'services/mcp/crm.yaml': serverYaml('crm', 5005, env),
      },
      ['KEY', 'mcp.crm.OWN'],
    );
    expect(findings).toEqual([
      `warning ${profilePath}:1:18 a password is written out`,
      'warning services/mcp/crm.yaml:8:62 the secret GONE is not kept',
      'warning services/mcp/crm.yaml:9:18 the variable KEY2, which crm requires, has no value',
    ]);
  });
});

describe('the audience of a server', () => {
  it('is its address; a shared one is accepted, with a warning of what it would open', async () => {
    const own = (name: string, audience: string) =>
      serverYaml(name, name === 'crm' ? 5005 : 5006)
        .replace('oauth:', 'oauth:')
        .replace(/oauth:.*/s, `oauth: { scopes: [user], audience: "${audience}" }\n`);
    const { findings } = await found({
      'services/mcp/crm.yaml': own('crm', 'mcp'),
      'services/mcp/erp.yaml': own('erp', 'http://localhost:8080/api/v1/mcp/erp/mcp'),
    });
    expect(findings).toEqual([
      expect.stringMatching(
        /^warning services\/mcp\/crm\.yaml:\d+:\d+ the audience `mcp` is not used: .*open every server/,
      ),
    ]);
  });
});

describe('configPlaces', () => {
  it('finds what is missing, and what is open to others', async () => {
    await using project = await configProject({});
    const faults = async (): Promise<string[]> =>
      (await configPlaces(project.instance, 'local')).flatMap(({ name, fault }) =>
        fault === undefined ? [] : [`${name} ${fault}`],
      );
    expect(await faults()).toEqual([]);
    await chmod(join(project.path, profilePath), 0o644);
    expect(await faults()).toEqual(['profile is open to others (mode 644)']);
    const other = await configPlaces(project.instance, 'other');
    expect(other.find(({ name }) => name === 'profile')).toMatchObject({ exists: false, fault: 'is not there' });
  });
});
