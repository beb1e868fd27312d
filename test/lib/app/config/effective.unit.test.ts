import { describe, expect, it } from 'vitest';
import { effectiveValues, loadEffective, sourceText } from '../../../../src/lib/app/config/effective.ts';
import { redactConfiguration } from '../../../../src/lib/app/config/redact.ts';
import { dottedPath } from '../../../../src/lib/infra/config/yaml-path.ts';
import { configProject, profilePath, serverYaml } from '../../../helpers/config-project.ts';

async function origins(files: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv = {}) {
  await using project = await configProject(files);
  const configuration = await loadEffective(project.instance, 'local', env);
  const lines = effectiveValues(configuration).map(({ path, value, source }): [string, string] => [
    dottedPath(path),
    `${JSON.stringify(value)} ${sourceText(source).replace(`${project.path}/`, '')}`,
  ]);
  return Object.fromEntries(lines);
}

describe('the effective configuration', () => {
  it('names for every value the file with its place, the variable, or the default', async () => {
    const found = await origins(
      {
        [profilePath]: 'name: local\nserver: { host: 127.0.0.1, port: 8085 }\n',
        'services/mcp/crm.yaml': serverYaml('crm', 5005),
        'services/config/config.yaml': 'includes: [../shared/ai.yaml]\n',
        'services/shared/ai.yaml': 'ai:\n  history: { retention_days: 7 }\n',
      },
      { SYSTEMPROMPT_SERVER_PORT: '9123' },
    );
    expect(found).toMatchObject({
      'server.host': `"127.0.0.1" ${profilePath}:2:17`,
      'server.port': '9123 SYSTEMPROMPT_SERVER_PORT',
      'server.external_url': '"http://localhost:9123" default',
      'ports.mcp': '[5000,5999] default',
      'mcp_servers.crm.port': '5005 services/mcp/crm.yaml:5:11',
      'mcp_servers.crm.oauth.scopes': '["user"] services/mcp/crm.yaml:7:22',
      'mcp_servers.crm.enabled': 'true default',
      'ai.history.retention_days': '7 services/shared/ai.yaml:2:30',
    });
  });

  it('tells the findings of profile and services/ at once', async () => {
    await using project = await configProject({
      [profilePath]: 'server: {prot: 1}\n',
      'services/mcp/a.yaml': 'mcp_servers: 7\n',
    });
    const load = loadEffective(project.instance, 'local', {});
    await expect(load).rejects.toThrow(/profile\.yaml:1:10[\s\S]*a\.yaml:1:14/);
  });
});

describe('redactConfiguration', () => {
  it('keeps references and blanks what is written out', () => {
    const tree = {
      database: { url: 'postgres://app:hunter2@db.example/prod' },
      server: { https: { key: 'tls.key' }, access_token_ttl_seconds: 60 },
      env: {
        API_TOKEN: 'hunter2',
        REGION: 'eu',
        SAFE_TOKEN: '${secret:TOKEN}',
        LINE: 'Bearer hunter2hunter2',
        MADE: `sk-${'hunter2'.repeat(4)}`,
      },
      variables: {
        REGION: { secret: false, default: 'eu' },
        PIN: { secret: true, value: 'hunter2', default: 'hunter2' },
        KEY: { secret: true, value: '${secret:KEY}' },
      },
      nothing: undefined,
    };
    const shown = redactConfiguration(tree);
    expect(JSON.stringify(shown)).not.toContain('hunter2');
    expect(shown).toEqual({
      database: { url: 'postgres://app:[redacted]@db.example/prod' },
      server: tree.server,
      env: {
        API_TOKEN: '[redacted]',
        REGION: 'eu',
        SAFE_TOKEN: '${secret:TOKEN}',
        LINE: 'Bearer [redacted]',
        MADE: '[redacted]',
      },
      variables: {
        REGION: { secret: false, default: 'eu' },
        PIN: { secret: true, value: '[redacted]', default: '[redacted]' },
        KEY: { secret: true, value: '${secret:KEY}' },
      },
    });
  });
});
