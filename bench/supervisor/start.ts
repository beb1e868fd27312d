// The start command of the benchmark: begins the supervisor in the background and waits until it says that all is ready,
// as `infra services start` does: `node start.js <supervisor.js> <plan.json> <control.sock> <log>`.
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import { supervisorNodeFlags } from '../../src/lib/infra/process/launch.ts';

const [program = '', plan = '', socket = '', logFile = ''] = process.argv.slice(2);
const log = openSync(logFile, 'a');
const child = spawn(process.execPath, [...supervisorNodeFlags, program, plan], {
  detached: true,
  stdio: ['ignore', log, log],
});
child.unref();
for (;;) {
  const client = await SupervisorClient.connect(socket).catch(() => undefined);
  if (client !== undefined) {
    for await (const event of client.events()) {
      if (event.type === 'ready') process.exit(event.failed.length === 0 ? 0 : 8);
      if (event.type === 'boot_failed') process.exit(1);
    }
  }
  if (child.exitCode !== null) process.exit(1);
  await delay(20);
}
