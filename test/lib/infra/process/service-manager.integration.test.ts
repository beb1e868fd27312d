import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { serviceManager } from '../../../../src/lib/infra/process/service-manager.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { until } from '../../../helpers/until.ts';

const never = (error: unknown): void => {
  throw error;
};
const installed = ['systemd-notify', 'systemd-socket-activate'].every(
  (program) => spawnSync(program, ['--version']).status === 0,
);

/** Reads descriptor 3, a datagram socket: each read(2) is one message. */
const reader = `
const { readSync } = require('node:fs');
const bytes = Buffer.alloc(4096);
setInterval(() => {
  for (;;) {
    let length;
    try { length = readSync(3, bytes, 0, bytes.length, null); }
    catch (error) { if (error.code === 'EAGAIN') return; throw error; }
    console.log(JSON.stringify(bytes.toString('utf8', 0, length)));
  }
}, 5);`;

describe('messages to the service manager', () => {
  it.skipIf(!installed)('arrive at a datagram socket in their order (needs the programs of systemd)', async () => {
    await using folder = await temporaryFolder();
    const socket = join(folder.path, 'notify');
    const listener = spawn('systemd-socket-activate', ['-d', '-l', socket, process.execPath, '-e', reader], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    listener.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    try {
      await until('the socket is bound', () => existsSync(socket));
      const manager = serviceManager({ NOTIFY_SOCKET: socket, PATH: process.env['PATH'] }, never);
      void manager?.notify('EXTEND_TIMEOUT_USEC=60000000', 'STATUS=Starting');
      void manager?.notify('READY=1', 'STATUS=3 of 3 services ready; 100 % "fine"');
      void manager?.notify('WATCHDOG=1');
      await manager?.notify('STOPPING=1');
      const messages = await until('four messages', () => {
        const seen = text
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as string)
          .filter((message) => message !== 'BARRIER=1');
        return seen.length === 4 ? seen : undefined;
      });
      expect(messages).toEqual([
        'EXTEND_TIMEOUT_USEC=60000000\nSTATUS=Starting',
        'READY=1\nSTATUS=3 of 3 services ready; 100 % "fine"',
        'WATCHDOG=1',
        'STOPPING=1',
      ]);
    } finally {
      const ended = once(listener, 'exit');
      listener.kill('SIGKILL');
      await ended;
    }
  });

  it('that can not be sent are told once, and reject nothing', async () => {
    await using folder = await temporaryFolder();
    const troubles: unknown[] = [];
    const manager = serviceManager({ NOTIFY_SOCKET: join(folder.path, 'nobody'), PATH: '' }, (error) =>
      troubles.push(error),
    );
    await manager?.notify('READY=1');
    await manager?.notify('WATCHDOG=1');
    expect(troubles).toHaveLength(1);
  });

  it('are for the process that systemd started, at the interval that it named', () => {
    const manager = (env: NodeJS.ProcessEnv) => serviceManager(env, never);
    const NOTIFY_SOCKET = '/run/systemd/notify';
    expect(manager({})).toBeUndefined();
    expect(manager({ NOTIFY_SOCKET: 'unix:nonsense' })).toBeUndefined();
    expect(manager({ NOTIFY_SOCKET })?.watchdogMs).toBeUndefined();
    expect(manager({ NOTIFY_SOCKET, WATCHDOG_USEC: '60000000' })?.watchdogMs).toBe(60_000);
    expect(manager({ NOTIFY_SOCKET, WATCHDOG_USEC: '6', WATCHDOG_PID: '1' })?.watchdogMs).toBeUndefined();
    const own = { NOTIFY_SOCKET, WATCHDOG_USEC: '2000000', WATCHDOG_PID: String(process.pid) };
    expect(manager(own)?.watchdogMs).toBe(2_000);
    expect(manager({ ...own, WATCHDOG_USEC: 'soon' })?.watchdogMs).toBeUndefined();
  });
});
