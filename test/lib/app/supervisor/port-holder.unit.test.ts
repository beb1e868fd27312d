import { expect, it } from 'vitest';
import { refuseTakenPorts } from '../../../../src/lib/app/supervisor/boot.ts';
import { type PortLookup, whoHolds } from '../../../../src/lib/app/supervisor/port-holder.ts';
import type { PortHolder } from '../../../../src/lib/infra/process/ports.ts';
import type { ServiceSpec } from '../../../../src/lib/infra/process/spec.ts';

const port = 8080;
const another = (process.getuid?.() ?? 0) + 1;
const api: ServiceSpec = {
  name: 'api',
  kind: 'api',
  dependsOn: [],
  port: { preferred: port },
  artefactHash: '',
  configHash: '',
  command: () => Promise.reject(new Error('nothing may be started')),
  probe: async () => ({ ready: false, reason: '' }),
  stop: { signal: 'SIGTERM', graceMs: 0 },
  readyTimeoutMs: 0,
};

/** A machine whose port is held by what is given, look by look; the last one stays. */
function machine(...looks: (PortHolder | 'free' | 'unseen')[]): PortLookup & { readonly asked: () => number } {
  let asked = 0;
  const now = () => looks[Math.min(asked, looks.length) - 1];
  return {
    asked: () => asked,
    isFree: async () => {
      asked += 1;
      return now() === 'free';
    },
    holder: async () => {
      const found = now();
      return typeof found === 'string' ? undefined : found;
    },
    isOurs: async (pid) => pid === 1,
  };
}

it("a start is refused early while another user's process, which has no visible pid, holds the port", async () => {
  const lookup = machine({ port, uid: another });
  const refused = refuseTakenPorts([api], 'i', lookup);
  await expect(refused).rejects.toMatchObject({
    code: 'PORT_TAKEN',
    message: `Port 8080 of api is taken by a process of another user (uid ${another}), which can't be named from here.`,
    hint: expect.stringContaining('--port'),
    next: ['infra services start --port 8081'],
    data: { service: 'api', port, uid: another },
  });
  expect(lookup.asked()).toBe(1);
});

it('a holder that stays unseen is refused after a short wait, one that has just left is not', async () => {
  await expect(refuseTakenPorts([api], 'i', machine({ port }))).rejects.toMatchObject({ code: 'PORT_TAKEN' });
  await expect(refuseTakenPorts([api], 'i', machine('unseen', 'free'))).resolves.toBeUndefined();
});

it('a process of ours may be adopted at a boot, and is waited for when it is leaving', async () => {
  await expect(refuseTakenPorts([api], 'i', machine({ port, pid: 1 }))).resolves.toBeUndefined();
  expect(await whoHolds(port, machine({ port, pid: 1 }, { port, pid: 1 }, 'free'), { waitMs: 5000 })).toBeUndefined();
  const stranger = { port, pid: 2 };
  expect(await whoHolds(port, machine(stranger), { waitMs: 5000 })).toEqual({ holder: stranger, ours: false });
});
