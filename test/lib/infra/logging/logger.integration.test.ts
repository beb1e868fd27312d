import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../../../src/lib/infra/logging/logger.ts';
import { DatabaseUnavailableError } from '../../../../src/lib/shared/errors.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const canary = 'canary-5f2b9c';

describe('the log', () => {
  it('writes one JSON line an event to a private file', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'logs', 'x.log');
    createLogger({ service: 'supervisor', destination: file }).warn({ target: 'api', port: 8080 }, 'api is backoff');
    const line = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    expect(line).toMatchObject({
      level: 'warn',
      service: 'supervisor',
      pid: process.pid,
      target: 'api',
      port: 8080,
      msg: 'api is backoff',
    });
    expect(new Date(String(line['time'])).getTime()).toBeGreaterThan(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  // /dev/full is a disk without space (full(4)).
  it.runIf(process.platform === 'linux')('a full disk ends nobody who logs, and waiting lines stay bounded', () => {
    const log = createLogger({ service: 'api', destination: '/dev/full' });
    const before = process.memoryUsage().heapUsed;
    for (let n = 0; n < 20_000; n += 1) log.info({ n, text: 'x'.repeat(500) }, 'nobody reads this');
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('keeps causes and drops secrets, wherever they are', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'x.log');
    const log = createLogger({ service: 'api', destination: file });
    const cause = new Error(`connect to postgres://app:${canary}@localhost/db`);
    log.error({ err: new DatabaseUnavailableError('away', { cause, data: { reason: 'refused' } }) }, 'away');
    log.info({ request: { headers: { authorization: `Bearer ${canary}`, cookie: canary } } }, 'request');
    log.info({ env: { DATABASE_URL: canary, SYSTEMPROMPT_IDENTITY_KEY: canary, PATH: '/bin' } }, `token=${canary}`);
    log.info(`Authorization: Bearer ${canary}`);
    log.info({ text: `x eyJhbGciOiJFUzI1NiIs.${canary}.sig` }, 'jwt');
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain(canary);
    expect(text).toContain('"reason":"refused"');
    expect(text).toContain('connect to postgres://app:[redacted]@localhost/db');
    expect(text).toContain('"PATH":"/bin"');
  });

  it('survives what can not be shown', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'x.log');
    const circle: Record<string, unknown> = { name: 'circle' };
    circle['self'] = circle;
    createLogger({ service: 'api', destination: file }).info({ circle }, 'round');
    expect(readFileSync(file, 'utf8')).toContain('[truncated]');
  });
});
