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
      tenant: 'local',
      server: { host: 'localhost', port: 8080, external_url: 'http://localhost:8080', workers: 1 },
      database: {},
      security: { issuer: 'http://localhost:8080', access_token_ttl_seconds: 3600 },
      ports: { mcp: [5000, 5999], agents: [9000, 9999] },
      limits: { body_bytes: 10 * 1024 * 1024, call_timeout_ms: 120_000 },
      logging: { max_file_mb: 10, max_files: 5 },
      runtime: { log_level: 'info' },
      services: { api: { limits: {} }, database: { limits: {} } },
    });
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
