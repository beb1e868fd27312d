import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const fixture = fileURLToPath(new URL('../../../fixtures/refuse-taken-port.ts', import.meta.url));
/** `nobody` on most systems; any id that is not ours will do. */
const another = 65_534;

// Only root can be two users.
it.runIf(process.getuid?.() === 0)("another user's holder of the port is refused by its user id", async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as { port: number };
    const ask = { uid: another, gid: another, cwd: '/', env: {} };
    const { stdout } = await promisify(execFile)(process.execPath, [fixture, String(port)], ask);
    expect(JSON.parse(stdout)).toEqual({
      code: 'PORT_TAKEN',
      message: `Port ${port} of api is taken by a process of another user (uid 0), which can't be named from here.`,
      data: { service: 'api', port, uid: 0 },
    });
  } finally {
    server.close();
  }
});
