import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLocalInstance } from '../../../../src/lib/infra/config/instance.ts';
import { loadProfile, type Profile, profileFile, profileNames } from '../../../../src/lib/infra/config/profile.ts';
import { ConfigInvalidError } from '../../../../src/lib/shared/errors.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

async function load(text: string, env: NodeJS.ProcessEnv = {}): Promise<Profile> {
  await using folder = await temporaryFolder();
  const dir = folder.path;
  await mkdir(join(dir, 'profiles/local'), { recursive: true });
  await writeFile(profileFile({ projectDir: dir }, 'local'), text);
  return await loadProfile({ projectDir: dir }, 'local', env);
}

async function issuesOf(text: string, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const error = await load(text, env).catch((reason: unknown) => reason);
  if (!(error instanceof ConfigInvalidError)) throw new Error(`no issues: ${JSON.stringify(error)}`);
  return error.issues.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

describe('loadProfile', () => {
  it('completes an empty profile with the defaults', async () => {
    expect(await load('{}')).toEqual({
      name: 'local',
      display_name: 'local',
      target: 'local',
      tenant: 'local',
      server: {
        host: 'localhost',
        port: 8080,
        external_url: 'http://localhost:8080',
        workers: 1,
        cors_allowed_origins: [],
        https: {},
        trusted_proxies: [],
        security_headers: {
          enabled: true,
          content_security_policy: "default-src 'none';frame-ancestors 'none'",
          frame_options: 'DENY',
          referrer_policy: 'no-referrer',
          permissions_policy: 'camera=(), microphone=(), geolocation=()',
          hsts_max_age_seconds: 31_536_000,
          hsts_include_subdomains: true,
          hsts_preload: false,
        },
      },
      database: {},
      security: {
        issuer: 'http://localhost:8080',
        access_token_ttl_seconds: 3600,
        authorization_code_ttl_seconds: 60,
        device_code_ttl_seconds: 600,
        refresh_idle_seconds: 2_592_000,
        refresh_absolute_seconds: 7_776_000,
        refresh_reuse_window_seconds: 30,
        registration: 'open',
        registration_limits: { per_network_per_hour: 20, max_clients: 5000, unused_hours: 24, idle_days: 90 },
        client_documents: { mode: 'open', hosts: [] },
        workload_identity: [],
        audiences: [],
        personal_access_tokens: { max_days: 365 },
        proxies: [],
        federation: [],
      },
      mail: {},
      ports: { mcp: [5000, 5999], agents: [9000, 9999] },
      audit: {},
      limits: { body_bytes: 10 * 1024 * 1024, call_timeout_ms: 120_000, session_idle_s: 3600 },
      rate_limits: {
        enabled: false,
        oauth_public_per_second: 10,
        oauth_auth_per_second: 10,
        mcp_registry_per_second: 50,
        mcp_per_second: 200,
        stream_per_second: 100,
        burst_multiplier: 3,
        client_multiplier: 20,
        tier_multipliers: { admin: 10, user: 1, service: 5, a2a: 5, mcp: 5, anon: 0.5 },
      },
      logging: { max_file_mb: 10, max_files: 5, database_days: 7 },
      telemetry: { metrics: 'off', traces: 'off' },
      runtime: {
        log_level: 'info',
        apply_changes: 'automatic',
        environment: 'development',
        output_format: 'text',
        no_color: false,
        non_interactive: false,
      },
      services: { api: { limits: {} }, database: { limits: {} } },
      paths: { services: 'services' },
    });
  });

  it('takes a mail server by address or by secret, with a sender that is one', async () => {
    const smtp = (url: string, from = 'a@example.com') => `mail: { smtp: { url: "${url}", from: "${from}" } }`;
    for (const url of ['smtp://localhost:2525', 'smtps://u:p@mail.example.com', '${secret:mail.smtp}']) {
      expect((await load(smtp(url))).mail.smtp?.url).toBe(url);
    }
    expect((await load(smtp('smtp://h', 'Us <no-reply@example.com>'))).mail.smtp?.from).toContain('no-reply');
    for (const url of ['http://mail.example.com', 'mail.example.com', 'smtp://']) {
      expect(await issuesOf(smtp(url))).toHaveLength(1);
    }
    for (const from of ['nobody', 'Us <nobody>', 'a@example.com, b@example.com']) {
      expect(await issuesOf(smtp('smtp://h', from))).toHaveLength(1);
    }
    expect(await issuesOf('mail: { smtp: { url: "smtp://h" } }')).toHaveLength(1);
  });

  it('takes other providers, each by https, with an id of its own and its secret kept elsewhere', async () => {
    const one = (more: string) =>
      `security: { federation: [{ id: x, name: X, issuer: "https://id.example.com", client_id: c, ${more} }] }`;
    expect((await load(one(''))).security.federation).toEqual([
      {
        id: 'x',
        name: 'X',
        issuer: 'https://id.example.com',
        client_id: 'c',
        scopes: ['openid', 'email', 'profile'],
        create_users: 'never',
        domains: [],
      },
    ]);
    await load(one('create_users: domains, domains: [example.com]'));
    await load('security: { federation: [{ id: x, name: X, issuer: "http://localhost:9000", client_id: c }] }');
    const messages = async (text: string) => (await issuesOf(text)).map((issue) => issue.replace(/^\S+ /, ''));
    expect(await messages(one('client_secret: plain'))).toEqual([expect.stringContaining('must be a secret')]);
    expect(await messages(one('create_users: domains'))).toEqual([
      '`domains` is missing, which `create_users: domains` needs',
    ]);
    expect(await messages(one('domains: [example.com]'))).toEqual([
      '`domains` is of no use without `create_users: domains`',
    ]);
    expect(await issuesOf(one('create_users: domains, domains: ["*.com"]'))).toHaveLength(1);
    const twice = '{ id: x, name: X, issuer: "https://id.example.com", client_id: c }';
    expect(await messages(`security: { federation: [${twice}, ${twice}] }`)).toEqual(['There is another provider `x`']);
    for (const issuer of ['http://id.example.com', 'https://u@id.example.com', 'https://id.example.com/?a', 'id']) {
      const text = `security: { federation: [{ id: x, name: X, issuer: "${issuer}", client_id: c }] }`;
      expect(await issuesOf(text)).toHaveLength(1);
    }
  });

  it('has a port for metrics that no other port of the profile is', async () => {
    const on = (port: number, rest = '') => `telemetry: { metrics: on, metrics_port: ${port} }\n${rest}`;
    expect((await load(on(8464))).telemetry).toEqual({ metrics: 'on', metrics_port: 8464, traces: 'off' });
    const [place, mean] = ['1:41', '`telemetry.metrics_port`'];
    expect(await issuesOf(on(8080))).toEqual([`${place} ${mean} is \`server.port\``]);
    expect(await issuesOf(on(8081, 'server: { port: 8081 }'))).toEqual([`${place} ${mean} is \`server.port\``]);
    expect(await issuesOf(on(5000))).toEqual([`${place} ${mean} lies in \`ports.mcp\``]);
    expect(await issuesOf(on(9999))).toEqual([`${place} ${mean} lies in \`ports.agents\``]);
    expect(await issuesOf('telemetry: { metrics_port: 8464 }')).toEqual([
      `1:28 ${mean} is of no use while \`telemetry.metrics\` is off`,
    ]);
    expect(await issuesOf('telemetry: { metrics: true, metrics_port: 80, metric_port: 1 }')).toHaveLength(3);
    await expect(load(on(8464), { SYSTEMPROMPT_SERVER_PORT: '8464' })).rejects.toMatchObject({ code: 'PRECONDITION' });
  });

  it('lets what it is run for decide whether requests are counted', async () => {
    for (const [environment, counted] of [
      ['test', false],
      ['staging', true],
      ['production', true],
    ] as const) {
      expect((await load(`runtime: {environment: ${environment}}`)).rate_limits.enabled).toBe(counted);
    }
    const told = await load('runtime: {environment: production}\nrate_limits: {enabled: false}');
    expect(told.rate_limits.enabled).toBe(false);
  });

  it('takes a profile for the cloud for one that others reach', async () => {
    const { server, runtime, rate_limits } = await load('target: cloud\nserver: {external_url: "https://a.example"}');
    expect([server.host, runtime.environment, rate_limits.enabled]).toEqual(['0.0.0.0', 'production', true]);
    expect(await issuesOf('target: cloud')).toEqual([
      '1:9 `server.external_url` is missing, which `target: cloud` needs',
    ]);
  });

  it.each([
    ['server: {cors_allowed_origins: ["*"]}', '1:33'],
    ['server: {cors_allowed_origins: ["https://a.example/"]}', '1:33'],
    ['server: {trusted_proxies: [10.0.0.0/33]}', '1:28'],
    ['server: {trusted_proxies: [proxy]}', '1:28'],
    ['server: {security_headers: {permissions_policy: "a\\nb"}}', '1:49'],
    ['rate_limits: {mcp_per_second: 0}', '1:31'],
    ['rate_limits: {burst_multiplier: 0.5}', '1:33'],
    ['tenant: Acme', '1:9'],
    ['display_name: ""', '1:15'],
  ])('refuses %s', async (text, place) => {
    const [issue] = await issuesOf(text);
    expect(issue?.split(' ')[0]).toBe(place);
  });

  it('reads what a fresh instance has', async () => {
    await using folder = await temporaryFolder();
    const instance = await createLocalInstance(folder.path, {});
    expect(await loadProfile(instance, 'local', {})).toEqual(await load('{}'));
    const text = await readFile(profileFile(instance, 'local'), 'utf8');
    expect(text.split('\n')[0]).toMatch(/^# yaml-language-server: \$schema=\S+\/schemas\/profile\.schema\.json$/);
  });

  it('lets the issuer follow the address, and the address the port', async () => {
    expect((await load('server: {port: 9100}')).security.issuer).toBe('http://localhost:9100');
    const named = await load('server: {port: 9100, external_url: "https://prompt.example.com"}');
    expect(named.security.issuer).toBe('https://prompt.example.com');
    const both = await load('server: {external_url: "https://a.example"}\nsecurity: {issuer: "https://b.example"}');
    expect([both.server.external_url, both.security.issuer]).toEqual(['https://a.example', 'https://b.example']);
  });

  it('puts the environment before the file', async () => {
    const profile = await load('server: {port: 8085}', { SYSTEMPROMPT_SERVER_PORT: '8090' });
    expect(profile.server).toMatchObject({ port: 8090, external_url: 'http://localhost:8090' });
    expect((await load('server: {port: 8085}', { SYSTEMPROMPT_SERVER_PORT: '' })).server.port).toBe(8085);
  });

  it.each(['0', '65536', '-1', '80a', ' 80', '1e3', '999999'])(
    'refuses %j as a port in the environment',
    async (text) => {
      await expect(load('{}', { SYSTEMPROMPT_SERVER_PORT: text })).rejects.toMatchObject({
        code: 'PRECONDITION',
        data: { variable: 'SYSTEMPROMPT_SERVER_PORT' },
      });
    },
  );

  it.each(['postgres://u:p@h:5432/d', 'postgresql://h/d', '${secret:database.url}'])(
    'takes %s for a database',
    async (url) => {
      expect((await load(`database: {url: "${url}"}`)).database).toEqual({ url });
    },
  );

  it('reports all that does not fit together', async () => {
    const text = 'name: other\n\nports:\n  mcp: [5000, 6000]\n  agents: [6000, 7000]\n';
    expect(await issuesOf(text)).toEqual([
      "1:7 `name` differs from the profile's folder `local`",
      '5:11 `ports.agents` overlaps `ports.mcp`',
    ]);
  });

  it('takes a folder of services that is there, and nothing around or within the private state', async () => {
    await using folder = await temporaryFolder();
    const instance = await createLocalInstance(folder.path, {});
    await mkdir(join(folder.path, 'config/code'), { recursive: true });
    const messageOf = async (services: string): Promise<string | undefined> => {
      await writeFile(profileFile(instance, 'local'), `paths: { services: "${services}" }\n`);
      const error = await loadProfile(instance, 'local', {}).then(
        () => undefined,
        (reason: ConfigInvalidError) => reason,
      );
      return error?.issues.map(({ line, column, message }) => `${line}:${column} ${message}`).join();
    };
    const state = '1:20 `paths.services` is, holds or lies in the private state of the project';
    expect(await messageOf('config/code')).toBeUndefined();
    expect(await messageOf('services')).toBeUndefined();
    expect(await messageOf('config/coed')).toBe(`1:20 there is no folder ${join(folder.path, 'config/coed')}`);
    for (const place of ['.', '/', '.systemprompt', '.systemprompt/data']) expect(await messageOf(place)).toBe(state);
    expect(await messageOf(' ')).toMatch(/^1:20 /);
  });

  it('tells which profiles there are when there is none of that name', async () => {
    await using folder = await temporaryFolder();
    const instance = await createLocalInstance(folder.path, {});
    await mkdir(join(instance.dir, 'profiles/staging'));
    expect(await profileNames(instance)).toEqual(['local', 'staging']);
    await expect(loadProfile(instance, 'prod', {})).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'There is: local, staging.',
    });
    await expect(loadProfile(instance, 'staging', {})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      issues: [{ message: 'there is no such file' }],
    });
  });

  it.each(['', '..', '../local', 'a/b', 'A', '-a', 'a'.repeat(51), 'a\n'])('refuses the name %j', async (name) => {
    await using folder = await temporaryFolder();
    await expect(loadProfile({ projectDir: folder.path }, name, {})).rejects.toMatchObject({ code: 'USAGE' });
  });
});
