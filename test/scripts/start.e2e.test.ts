import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { makeCheckout } from '../helpers/checkout.ts';

const npmCalls = (path: string) =>
  readFile(join(path, 'npm-calls.txt'), 'utf8').then((text) => text.trim().split('\n'));

describe('scripts/start.mjs', () => {
  it('installs what running needs and builds, once, then runs the CLI with the time of each phase', async () => {
    await using checkout = await makeCheckout();
    for (const _ of ['first', 'second']) {
      const { code, stdout } = await checkout.run('start.mjs', ['--json'], { ENDS_WITH: '0' });
      expect(code).toBe(0);
      const said = JSON.parse(stdout) as { argv: string[]; phases: { name: string; ms: number }[] };
      expect(said.argv).toEqual(['infra', 'services', 'start', '--foreground', '--json']);
      expect(said.phases).toEqual([
        { name: 'install', ms: expect.any(Number) },
        { name: 'build', ms: expect.any(Number) },
      ]);
    }
    const calls = await npmCalls(checkout.path);
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatch(/^install .*--workspace=tools\/node/);
  });

  it('installs again when the lock is another', async () => {
    await using checkout = await makeCheckout();
    await checkout.run('start.mjs', [], { ENDS_WITH: '0' });
    await checkout.write('package-lock.json', `${await readFile(join(checkout.path, 'package-lock.json'), 'utf8')}\n`);
    await checkout.run('start.mjs', [], { ENDS_WITH: '0' });
    expect(await npmCalls(checkout.path)).toHaveLength(2);
  });

  it('fails when npm would change the lock, and puts it back', async () => {
    await using checkout = await makeCheckout();
    const before = await readFile(join(checkout.path, 'package-lock.json'), 'utf8');
    const { code, stdout, stderr } = await checkout.run('start.mjs', [], { NPM_CHANGES_LOCK: '1' });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('npm changed package-lock.json');
    expect(await readFile(join(checkout.path, 'package-lock.json'), 'utf8')).toBe(before);
  });

  it('fails when npm fails, and tries again the next time', async () => {
    await using checkout = await makeCheckout();
    const { code, stderr } = await checkout.run('start.mjs', [], { NPM_EXITS: '7' });
    expect(code).toBe(1);
    expect(stderr).toContain('exit code 7');
    expect((await checkout.run('start.mjs', [], { ENDS_WITH: '0' })).code).toBe(0);
  });

  it("ends with the CLI's exit code", async () => {
    await using checkout = await makeCheckout();
    expect((await checkout.run('start.mjs', [], { ENDS_WITH: '6' })).code).toBe(6);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'hands %s on once, though it comes to the whole group and npm repeats it',
    async (signal) => {
      await using checkout = await makeCheckout();
      const child = checkout.start('start.mjs');
      const exited = once(child, 'exit');
      const { stdout, stdin, pid } = child;
      if (stdout === null || stdin === null || pid === undefined) throw new Error('no pipes');
      const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
      await lines.next();
      process.kill(-pid, signal);
      process.kill(pid, signal);
      expect(JSON.parse(String((await lines.next()).value))).toEqual({ signal });
      // What else it got would come before its end.
      stdin.end('end\n');
      expect(await lines.next()).toMatchObject({ done: true });
      expect(await exited).toEqual([0, null]);
    },
  );
});
