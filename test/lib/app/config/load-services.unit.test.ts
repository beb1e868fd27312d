import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  defaultAi,
  defaultContent,
  defaultExtensions,
  defaultScheduler,
  defaultSettings,
  defaultWeb,
} from '../../../../src/lib/app/config/defaults.ts';
import { loadServices } from '../../../../src/lib/app/config/load-services.ts';
import { extensionsSchema, settingsSchema } from '../../../../src/lib/app/config/settings.ts';
import type { ServicesConfiguration } from '../../../../src/lib/app/config/types.ts';
import { aiSchema } from '../../../../src/lib/domain/ai/index.ts';
import { contentSchema } from '../../../../src/lib/domain/content/index.ts';
import { schedulerSchema } from '../../../../src/lib/domain/scheduler/index.ts';
import { webSchema } from '../../../../src/lib/domain/web/index.ts';
import { packageRoot } from '../../../../src/lib/infra/config/package-root.ts';
import { ConfigInvalidError } from '../../../../src/lib/shared/errors.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { agent, server, wholeTree } from './whole-tree.ts';

type Files = Readonly<Record<string, string>>;

async function tree(files: Files): Promise<TemporaryFolder> {
  const folder = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder.path, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  return folder;
}

async function load(files: Files): Promise<ServicesConfiguration> {
  await using folder = await tree(files);
  return await loadServices({ servicesDir: folder.path });
}

/** The findings, as `file:line:column message | hint` with the file relative to `services/`. */
async function findings(files: Files): Promise<string[]> {
  await using folder = await tree(files);
  const error = await loadServices({ servicesDir: folder.path }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error === undefined) return [];
  if (!(error instanceof ConfigInvalidError)) throw error;
  return error.issues.map(({ file, line, column, message, hint }) =>
    `${file}:${line}:${column} ${message} | ${hint ?? ''}`.replaceAll(`${folder.path}/`, ''),
  );
}

describe('loadServices', () => {
  it('reads the services that come with the package', async () => {
    const { mcpServers, agents, settings } = await loadServices({ servicesDir: join(packageRoot(), 'services') });
    expect(mcpServers.map(({ name }) => name)).toEqual(['content-manager', 'marketplace', 'systemprompt']);
    expect({ agents, settings }).toEqual({ agents: [], settings: { tool_hooks: [], tool_artifacts_days: 30 } });
  });

  it('reads every kind, found by itself or included, with texts from other files', async () => {
    const services = await load(wholeTree);
    expect(services.mcpServers.map(({ name }) => name)).toEqual(['alpha', 'included']);
    expect(services.agents[0]).toMatchObject({ name: 'helper', metadata: { system_prompt: 'You help.\n' } });
    expect(services.skills).toMatchObject([
      { id: 'short', instructions: 'Do it.' },
      { id: 'writing', instructions: '# Writing\n' },
    ]);
    expect(Object.keys(services.ai.providers).sort()).toEqual(['acme', 'other']);
    expect(services.ai.default_provider).toBe('acme');
    expect(services.content.content_sources.blog?.category_id).toBe('news');
    expect(services.scheduler.jobs[0]).toMatchObject({ name: 'cleanup', enabled: true });
    expect(services.web.branding.name).toBe('Site');
    expect(services.plugins[0]).toMatchObject({ id: 'kit-one', skills: { include: ['writing'] } });
    expect(services.extensions.disabled).toEqual(['blog']);
    expect(services.settings.mcp_port_range).toEqual([5000, 5100]);
  });

  it('knows an empty folder and none as the defaults', async () => {
    const services = await load({});
    expect(services.mcpServers).toEqual([]);
    expect(services.scheduler).toEqual({ enabled: true, jobs: [], bootstrap_jobs: [] });
    expect(services.originOf(['scheduler', 'enabled'])).toBeUndefined();
    expect((await loadServices({ servicesDir: '/nonexistent' })).agents).toEqual([]);
  });

  it('tells where every value is written', async () => {
    await using folder = await tree(wholeTree);
    const { tree: composed, originOf, sourceOf, files } = await loadServices({ servicesDir: folder.path });
    const at = (...path: (string | number)[]) => {
      const origin = originOf(path);
      return origin && `${origin.file}:${origin.line}:${origin.column}`.replace(`${folder.path}/`, '');
    };
    expect(at('mcp_servers', 'alpha', 'port')).toBe('mcp/a.yaml:4:11');
    expect(at('mcp_servers', 'included', 'oauth', 'scopes', 0)).toBe('shared/all.yaml:7:22');
    expect(at('mcp_servers', 'alpha', 'enabled')).toBeUndefined();
    expect(at('agents', 'helper', 'metadata', 'system_prompt')).toBe('agents/helper.yaml:6:31');
    expect(at('skills', 'writing', 'name')).toBe('skills/writing/config.yaml:1:7');
    expect(at('skills', 'short', 'instructions')).toBe('shared/more/extra.yaml:8:19');
    expect(at('ai', 'providers', 'acme', 'api_key')).toBe('ai/config.yaml:4:21');
    expect(at('ai', 'providers', 'other')).toBe('shared/more/extra.yaml:3:12');
    expect(at('settings', 'mcp_port_range', 1)).toBe('config/config.yaml:2:35');
    expect(sourceOf(['skills', 'writing', 'tags'])).toEqual({
      file: join(folder.path, 'skills/writing/config.yaml'),
      path: ['tags'],
    });
    expect(sourceOf(['nothing'])).toBeUndefined();
    expect(composed).toMatchObject({ mcp_servers: { alpha: { port: 5010, enabled: true } } });
    expect(JSON.parse(JSON.stringify(composed))).toEqual(composed);
    for (const name of Object.keys(wholeTree)) expect(files).toContain(join(folder.path, name));
  });

  it('reads each file once, however often it is included', async () => {
    const services = await load({
      'config/config.yaml': 'includes: [../mcp/a.yaml, ../x.yaml, ../y.yaml]\n',
      'x.yaml': 'includes: [z.yaml]\n',
      'y.yaml': 'includes: [z.yaml, mcp/a.yaml]\n',
      'z.yaml': server('zeta', 5012),
      'mcp/a.yaml': server('alpha', 5010),
    });
    expect(services.mcpServers.map(({ name }) => name)).toEqual(['alpha', 'zeta']);
  });

  it('takes the first schedule and the last look', async () => {
    const services = await load({
      'config/config.yaml': 'includes: [../x.yaml]\nscheduler: {enabled: false}\nweb: {branding: {name: Root}}\n',
      'x.yaml': 'scheduler: {enabled: true}\nweb: {branding: {name: Last}}\n',
    });
    expect(services.scheduler.enabled).toBe(false);
    expect(services.web.branding.name).toBe('Last');
  });

  it('holds ports to the profile and to the settings', async () => {
    await using folder = await tree({
      'mcp/a.yaml': server('alpha', 5010),
      'agents/a.yaml': agent('beta', 9001),
      'config/config.yaml': 'settings: {agent_port_range: [9100, 9200]}\n',
    });
    const ports = { mcp: [6000, 6999] as [number, number], agents: [9000, 9999] as [number, number] };
    const failed = loadServices({ servicesDir: folder.path }, { profile: { ports } });
    await expect(failed).rejects.toMatchObject({
      issues: [
        { message: 'port 9001 is outside of the range in the settings', line: 3, column: 11 },
        { message: "port 5010 is outside of the profile's range", line: 4, column: 11 },
      ],
    });
  });

  it('tells the faults of all files at once', async () => {
    const found = await findings({
      ...wholeTree,
      'mcp/a.yaml': `${server('alpha', 5010)}    enabeld: true\n`,
      'ai/config.yaml': 'ai:\n  default_provider: acmee\n  providers:\n    acme: {}\n',
      'agents/helper.yaml': agent('helper', 9001, '    metadata: {skills: [writng], mcp_servers: [alpah]}\n'),
    });
    expect(found).toEqual([
      'agents/helper.yaml:5:25 there is no skill `writng` | did you mean `writing`?',
      'agents/helper.yaml:5:48 there is no MCP server `alpah` | did you mean `alpha`?',
      'ai/config.yaml:2:21 there is no provider `acmee` | did you mean `acme`?',
      'mcp/a.yaml:7:5 `enabeld` is not known in `mcp_servers.alpha` | did you mean `enabled`?',
    ]);
  });

  it('quotes no secret that stands in the place of a name', async () => {
    const canary = `ghp_${'Canary'.repeat(6)}`;
    const found = await findings({
      'mcp/a.yaml': `mcp_servers:\n  alpha:\n    module: m\n    port: ${canary}\n    type: ${canary}\n    description: "${canary}"\n    oauth: {scopes: [user]}\n    env: {A: ${canary}}\n`,
      'agents/a.yaml': agent(
        'helper',
        9001,
        `    name: ${canary}\n    metadata: {skills: [${canary}], provider: ${canary}}\n`,
      ),
    });
    expect(found.length).toBeGreaterThan(6);
    expect(found.join('\n')).not.toContain('Canary');
  });

  it('has an example in its documentation that holds', async () => {
    const documentation = await readFile(join(packageRoot(), 'docs/configuration.md'), 'utf8');
    const example = /```yaml\n(# yaml-language-server.*?)```/s.exec(documentation)?.[1] ?? '';
    const { agents } = await load({
      'agents/helper.yaml': example,
      'agents/prompts/helper.md': 'You help.\n',
      'mcp/a.yaml': server('systemprompt', 5010),
    });
    expect(agents[0]).toMatchObject({ name: 'helper', metadata: { system_prompt: 'You help.\n' } });
  });

  it('calls nothing unknown that a file may declare which can’t be read', async () => {
    const found = await findings({ ...wholeTree, 'mcp/a.yaml': 'mcp_servers: [\n' });
    expect(found).toEqual([expect.stringMatching(/^mcp\/a\.yaml:1:14 the bracket/)]);
  });
});

it('the defaults of what no file has are those of the schemas', () => {
  expect(aiSchema.parse({})).toEqual(defaultAi);
  expect(contentSchema.parse({})).toEqual(defaultContent);
  expect(schedulerSchema.parse({})).toEqual(defaultScheduler);
  expect(webSchema.parse({})).toEqual(defaultWeb);
  expect(settingsSchema.parse({})).toEqual(defaultSettings);
  expect(extensionsSchema.parse({})).toEqual(defaultExtensions);
});
