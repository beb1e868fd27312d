import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, statSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SupervisorClient } from '../../../../src/lib/app/supervisor/client.ts';
import { bindControlSocket, type Lock } from '../../../../src/lib/app/supervisor/lock.ts';
import { ConflictError, isNotRunning } from '../../../../src/lib/shared/errors.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

/** Leaves behind the socket of a process that was killed. */
async function staleSocket(path: string): Promise<void> {
  const code = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const status = JSON.stringify({ supervisor: { pid: 77 }, url: 'http://localhost:1' });

function bind(path: string): Promise<Lock> {
  return bindControlSocket(
    createServer((_, response) => response.end(status)),
    path,
  );
}

function ask(path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ socketPath: path, agent: false }, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end();
  });
}

describe('the lock of an installation', () => {
  it('is the bound socket, private, and free again when it is released', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'control.sock');
    const first = await bind(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await expect(bind(path)).rejects.toThrow('supervisor 77, http://localhost:1');
    await first.release();
    expect(existsSync(path)).toBe(false);
    await (await bind(path)).release();
  });

  it('passes from a dead supervisor to exactly one of many', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'control.sock');
    await staleSocket(path);
    expect(existsSync(path)).toBe(true);
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => bind(path)));
    const winners = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const losers = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(winners).toHaveLength(1);
    expect(losers.every((error) => error instanceof ConflictError)).toBe(true);
    expect(await ask(path)).toBe(200);
    await winners[0]?.release();
  });

  it.skipIf(process.getuid?.() !== 0)('is refused with the reason when the socket is of another user', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'control.sock');
    const theirs = await bind(path);
    chownSync(path, 54_321, 54_321);
    const reason = `${path} belongs to the user with id 54321, not to you`;
    const refused = await SupervisorClient.connect(path).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'SUPERVISOR_UNAVAILABLE', message: expect.stringContaining(reason) });
    // Nobody may take it for a system that does not run, and start another.
    expect(isNotRunning(refused)).toBe(false);
    await expect(bind(path)).rejects.toMatchObject({ code: 'PRECONDITION', message: expect.stringContaining(reason) });
    expect(await ask(path)).toBe(200);
    await theirs.release();
  });
});
