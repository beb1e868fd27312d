import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ConfigChange, changeConfiguration } from '../../../../src/lib/app/config/change.ts';
import { loadEffective } from '../../../../src/lib/app/config/effective.ts';
import { configPlaces } from '../../../../src/lib/app/config/paths.ts';
import { requireInstance } from '../../../../src/lib/infra/config/instance.ts';
import { parseDottedPath } from '../../../../src/lib/infra/config/yaml-path.ts';
import { type ConfigProject, configProject, profilePath, serverYaml } from '../../../helpers/config-project.ts';

const profile = '# mine\nserver:\n  port: 8085 # ours\n\n# end\n';

async function opened(files: Readonly<Record<string, string>> = {}): Promise<ConfigProject> {
  return await configProject({ [profilePath]: profile, 'services/mcp/crm.yaml': serverYaml('crm', 5005), ...files });
}

function change(project: ConfigProject, changes: readonly ConfigChange[], dryRun = false) {
  return changeConfiguration({ instance: project.instance, profileName: 'local', env: {} }, changes, { dryRun });
}

function set(path: string, text: string): ConfigChange {
  return { path: parseDottedPath(path) ?? [], text };
}

function unset(path: string): ConfigChange {
  return { path: parseDottedPath(path) ?? [], unset: true };
}

async function text(project: ConfigProject, name: string): Promise<string> {
  return await readFile(join(project.path, name), 'utf8');
}

describe('changeConfiguration', () => {
  it('writes the profile or the file of services/ that holds the value, and nothing else', async () => {
    await using project = await opened();
    expect(await change(project, [set('server.port', '9000')])).toMatchObject({
      changes: [{ path: 'server.port', before: 8085, after: 9000 }],
      effect: 'reconcile',
    });
    await change(project, [set('mcp_servers.crm.enabled', 'false')]);
    expect(await text(project, profilePath)).toBe(profile.replace('8085', '9000'));
    expect(await text(project, 'services/mcp/crm.yaml')).toBe(`${serverYaml('crm', 5005)}    enabled: false\n`);
    // No copy that it was checked from is left.
    expect((await readdir(project.instance.projectDir)).filter((name) => name.startsWith('.check'))).toEqual([]);
  });

  it('checks services/ of the folder that the profile would name, and writes into the one that it names', async () => {
    await using project = await opened({
      'config/code/mcp/crm.yaml': serverYaml('crm', 7001),
      'config/good/mcp/crm.yaml': serverYaml('crm', 5006),
    });
    await expect(change(project, [set('paths.services', 'config/none')])).rejects.toThrow('there is no folder');
    await expect(change(project, [set('paths.services', 'config/code')])).rejects.toThrow('7001');
    const { effect } = await change(project, [set('paths.services', 'config/good')]);
    expect(effect).toBe('reconcile');
    const instance = await requireInstance(project.path, {});
    await change({ ...project, instance }, [set('mcp_servers.crm.enabled', 'false')]);
    expect(await text(project, 'config/good/mcp/crm.yaml')).toContain('enabled: false');
    expect(await text(project, 'services/mcp/crm.yaml')).not.toContain('enabled');
    const places = await configPlaces(instance, 'local');
    expect(places.find(({ name }) => name === 'services')).toMatchObject({
      path: join(project.path, 'config/good'),
      fault: undefined,
    });
    const { sourceOf } = await loadEffective(instance, 'local', {});
    expect(sourceOf(['paths', 'services'])).toMatchObject({ kind: 'file', line: 5 });
  });

  it.each([
    ['security.issuer', 'https://123.example', '"https://123.example"'],
    ['display_name', '5', '"5"'],
    ['ports.mcp', '[5000, 5100]', '[5000,5100]'],
    ['runtime.log_level', 'debug', '"debug"'],
    ['rate_limits.enabled', 'true', 'true'],
  ])('reads the value of %s as its field asks for', async (path, given, value) => {
    await using project = await opened();
    const { changes } = await change(project, [set(path, given)], true);
    expect(JSON.stringify(changes[0]?.after)).toBe(value);
    expect(await text(project, profilePath)).toBe(profile);
  });

  it('begins the file where such values have their place, and leaves its section when the last is unset', async () => {
    await using project = await opened();
    await change(project, [set('ai.history.retention_days', '7')]);
    expect(await text(project, 'services/ai/config.yaml')).toBe('ai:\n  history:\n    retention_days: 7\n');
    const { changes } = await change(project, [unset('ai.history.retention_days')]);
    expect(changes).toEqual([{ path: 'ai.history.retention_days', before: 7, after: null }]);
    expect(await text(project, 'services/ai/config.yaml')).toBe('ai: {}\n');
    await expect(change(project, [set('skills.new.name', 'New')])).rejects.toThrow('`description` is missing');
    expect(await readdir(join(project.path, 'services'))).toEqual(['ai', 'mcp']);
  });

  it('removes a file of servers in which nothing is left, but none with a comment', async () => {
    await using project = await opened({
      'services/mcp/plain.yaml': serverYaml('plain', 5007).replace('# plain\n', ''),
    });
    await change(project, [unset('mcp_servers.plain')]);
    await change(project, [unset('mcp_servers.crm')]);
    expect(await readdir(join(project.path, 'services/mcp'))).toEqual(['crm.yaml']);
    expect(await text(project, 'services/mcp/crm.yaml')).toBe('# crm\nmcp_servers: {}\n');
  });

  it('edits a file that takes in a text from another', async () => {
    const agent =
      'agents:\n  helper:\n    port: 9001\n    card: { description: d }\n    metadata:\n      system_prompt: !include p.md # kept\n';
    await using project = await opened({ 'services/agents/helper.yaml': agent, 'services/agents/p.md': 'Help.\n' });
    await change(project, [set('agents.helper.port', '9002')]);
    expect(await text(project, 'services/agents/helper.yaml')).toBe(agent.replace('9001', '9002'));
    const over = change(project, [set('agents.helper.metadata.system_prompt', 'Other.')]);
    await expect(over).rejects.toThrow("can't be edited by a command");
  });

  it.each([
    ['server.prot', '1', 'did you mean `port`?'],
    ['server.port', '0', 'profile.yaml:3:9'],
    ['ports.mcp', '[5000, 9500]', '`ports.agents` overlaps `ports.mcp`'],
    ['ports.mcp', '[5100, 5200]', "port 5005 is outside of the profile's range"],
    ['mcp_servers.crm.port', '4000', "outside of the profile's range"],
    ['sever.port', '1', 'There is no section'],
    ['tenant', 'nobody', 'the tenant `nobody` does not exist'],
    ['database.url', 'postgres://app:hunter2@db/x', 'would hold a secret as plain text'],
    ['mcp_servers.crm.env.API_TOKEN', 'hunter2', 'would hold a secret as plain text'],
    ['mcp_servers.crm.env', '{ API_TOKEN: hunter2 }', 'would hold a secret as plain text'],
  ])('writes nothing for %s = %s', async (path, value, message) => {
    await using project = await opened();
    const refused = change(project, [set(path, value)]);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.not.toThrow('hunter2');
    expect(await text(project, profilePath)).toBe(profile);
    expect(await text(project, 'services/mcp/crm.yaml')).toBe(serverYaml('crm', 5005));
  });

  it('takes the reference to a secret, and says that the database needs a new start', async () => {
    await using project = await opened();
    const { effect, changes } = await change(project, [set('database.url', '${secret:db}')]);
    expect([effect, changes[0]?.after]).toEqual(['start', '${secret:db}']);
    expect((await change(project, [set('display_name', 'Mine')])).effect).toBe('none');
  });

  it('changes several values of a file as one step', async () => {
    await using project = await opened();
    const both = [set('ports.mcp', '[5000, 9500]'), set('ports.agents', '[9600, 9700]')];
    expect((await change(project, both)).changes).toHaveLength(2);
    expect(await text(project, profilePath)).toContain('ports:\n');
  });

  it('says when there is nothing to change', async () => {
    await using project = await opened();
    expect(await change(project, [set('server.port', '8085'), unset('server.host')])).toEqual({
      files: [],
      changes: [],
      effect: 'none',
    });
  });
});
