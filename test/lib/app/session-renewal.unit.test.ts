import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mayNeedRenewal } from '../../../src/lib/app/session-end.ts';
import { isDue, renewFrom, renewSession } from '../../../src/lib/app/session-renewal.ts';
import { type CliSession, readSession, saveSession } from '../../../src/lib/infra/config/session-file.ts';
import { NotFoundError, UnauthenticatedError } from '../../../src/lib/shared/errors.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const now = Date.parse('2026-01-01T12:00:00.000Z');
const at = (minutes: number): string => new Date(now + minutes * 60_000).toISOString();
const session = (over: Partial<CliSession> = {}): CliSession => ({
  token: 'old',
  audience: 'a',
  scopes: ['user'],
  expiresAt: at(10),
  renewFrom: at(-5),
  userName: 'owner',
  sessionId: 'old-id',
  issuer: 'i',
  ...over,
});

/** Signs in with ever new ids, and remembers what was revoked. */
function supervisor(failure?: Error, refused?: Error) {
  const asked: unknown[] = [];
  const revoked: string[] = [];
  let count = 0;
  return {
    asked,
    revoked,
    async request(_method: string, path: string, body: unknown): Promise<unknown> {
      if (path === '/v1/session/logout') {
        revoked.push((body as { sessionId: string }).sessionId);
        throw new NotFoundError('made anew');
      }
      if (path === '/v1/actor') {
        if (refused !== undefined) throw refused;
        return { userId: 'u' };
      }
      asked.push(body);
      if (failure !== undefined) throw failure;
      count += 1;
      return {
        token: `new${count}`,
        audience: 'a',
        scopes: ['user'],
        expiresAt: at(60),
        user: 'owner',
        sessionId: `id${count}`,
      };
    },
  };
}

describe('a sign-in is due', () => {
  it('in the last quarter of its life, however long that is', () => {
    expect(renewFrom(now + 60 * 60_000, now)).toBe(now + 45 * 60_000);
    expect(renewFrom(now + 60_000, now)).toBe(now + 45_000);
    expect(isDue(session(), now)).toBe(true);
    expect(isDue(session({ renewFrom: at(1) }), now)).toBe(false);
    expect(isDue(session({ expiresAt: at(0) }), now)).toBe(false);
    expect(isDue(session({ renewFrom: undefined } as Partial<CliSession>), now)).toBe(false);
  });

  it('as far as a quick look at the file tells, which no file can make fail', async () => {
    await using folder = await temporaryFolder();
    const look = () => mayNeedRenewal(folder.path, 'local', now);
    expect(look()).toBe(false);
    await saveSession({ projectDir: folder.path }, 'local', session());
    expect(look()).toBe(true);
    expect(mayNeedRenewal(folder.path, 'other', now)).toBe(false);
    await mkdir(join(folder.path, 'sessions'), { recursive: true });
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{"sessions":{"local":null}}',
      '{"sessions":{"local":{"renewFrom":1}}}',
    ]) {
      await writeFile(join(folder.path, 'sessions/index.json'), text);
      expect(look(), text).toBe(false);
    }
  });
});

describe('renewSession', () => {
  it('takes a new one with the same scopes and revokes the former', async () => {
    await using folder = await temporaryFolder();
    const project = { projectDir: folder.path };
    await saveSession(project, 'local', session());
    const server = supervisor();
    expect(await renewSession(project, 'local', server, now)).toBe(true);
    expect(server.asked).toEqual([{ scopes: ['user'] }]);
    expect(server.revoked).toEqual(['old-id']);
    expect(await readSession(project, 'local')).toMatchObject({ token: 'new1', sessionId: 'id1', expiresAt: at(60) });
  });

  it('of many commands at once leaves one sign-in, and revokes all others', async () => {
    await using folder = await temporaryFolder();
    const project = { projectDir: folder.path };
    await saveSession(project, 'local', session());
    const server = supervisor();
    const done = await Promise.all(Array.from({ length: 8 }, () => renewSession(project, 'local', server, now)));
    expect(done.filter(Boolean)).toHaveLength(1);
    const kept = await readSession(project, 'local');
    const given = ['old-id', ...server.asked.map((_, index) => `id${index + 1}`)];
    expect(server.revoked.sort()).toEqual(given.filter((id) => id !== kept?.sessionId).sort());
  });

  it('leaves what is not due, what was signed out meanwhile, and what the instance refuses', async () => {
    await using folder = await temporaryFolder();
    const project = { projectDir: folder.path };
    const server = supervisor();
    expect(await renewSession(project, 'local', server, now)).toBe(false);
    await saveSession(project, 'local', session({ renewFrom: at(1) }));
    expect(await renewSession(project, 'local', server, now)).toBe(false);
    expect(server.asked).toEqual([]);
    await saveSession(project, 'local', session());
    const refusing = supervisor(new UnauthenticatedError('no'));
    await expect(renewSession(project, 'local', refusing, now)).rejects.toThrow('no');
    expect(await readSession(project, 'local')).toMatchObject({ token: 'old' });
    // Revoked elsewhere, or its user was suspended.
    const revoked = supervisor(undefined, new UnauthenticatedError('revoked'));
    await expect(renewSession(project, 'local', revoked, now)).rejects.toThrow('revoked');
    expect(revoked.asked).toEqual([]);
    expect(await readSession(project, 'local')).toMatchObject({ token: 'old' });
    await chmod(join(folder.path, 'sessions/index.json'), 0o640);
    await expect(renewSession(project, 'local', server, now)).rejects.toMatchObject({
      code: 'PRECONDITION',
      hint: expect.stringContaining('chmod 600'),
    });
  });
});
