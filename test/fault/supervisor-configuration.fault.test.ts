import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import type { InstanceStatus } from '../../src/lib/app/supervisor/status.ts';
import type { Instance } from '../../src/lib/infra/config/instance.ts';
import { identify, isAlive } from '../../src/lib/infra/process/identity.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

// The built system with its real configuration files.

interface Plan {
  readonly items: readonly { readonly step: string; readonly service: string }[];
  readonly notes?: readonly string[];
}

describe('a system whose configuration changes', () => {
  it('is kept as it runs while the files are invalid, and follows them when they are mended', async () => {
    const profileOf = ({ dir }: Instance): string => join(dir, 'profiles', 'local', 'profile.yaml');
    await using system = await startSystem(async (made) => {
      await appendFile(profileOf(made), '\nruntime: { apply_changes: manual }\n');
    });
    const { instance } = system;
    const profile = profileOf(instance);
    const good = await readFile(profile, 'utf8');
    const status = async (): Promise<InstanceStatus> => {
      const client = await SupervisorClient.connect(instance.controlSocket);
      try {
        return await client.status();
      } finally {
        client.close();
      }
    };
    const steps = async (...flags: string[]): Promise<string[]> =>
      (await system.artifact<Plan>('infra', 'services', 'reconcile', ...flags)).items.map(
        ({ step, service }) => `${step} ${service}`,
      );
    const before = await status();
    expect(await steps('--dry-run')).toEqual(['keep database', 'keep api', 'keep mcp:systemprompt']);

    // A change on a live system that does not hold: refused with its place, and nothing happens.
    await writeFile(profile, good.replace(/port: \d+/, 'port: eighty'));
    const refused = await system.run('infra', 'services', 'reconcile');
    expect(refused.code).toBe(6);
    expect(refused.stderr).toMatch(/profile\.yaml:\d+:\d+/);

    // The same at a boot: the supervisor is killed, and comes back to files that it can't go by.
    const { pid } = before.supervisor;
    const identity = await identify(pid);
    process.kill(pid, 'SIGKILL');
    await until('it is dead', async () => identity !== undefined && !(await isAlive(identity)));
    const offline = await system.run('infra', 'services', 'reconcile', '--dry-run');
    expect(offline.code).toBe(6);
    for (const attempt of ['starts the supervisor', 'finds it running']) {
      const started = await system.run('infra', 'services', 'start');
      expect(started.code, attempt).toBe(6);
      expect(started.stderr).toMatch(/profile\.yaml:\d+:\d+/);
    }
    const kept = await status();
    expect(kept.supervisor).toMatchObject({ state: 'running', configuration: { valid: false } });
    expect(kept.services.map(({ name, state, instanceId }) => ({ name, state, instanceId }))).toEqual(
      before.services.map(({ name, instanceId }) => ({ name, state: 'ready', instanceId })),
    );
    expect((await fetch(`${system.url}/healthz`)).status).toBe(200);
    expect((await system.run('infra', 'services', 'status')).stdout).toContain('Configuration invalid since');

    await writeFile(profile, good);
    expect(await steps()).toEqual(['keep database', 'keep api', 'keep mcp:systemprompt']);
    expect((await status()).supervisor.configuration).toMatchObject({ valid: true });

    // What the files ask for is done, and no more.
    await writeFile(profile, good.replace('runtime: {', 'runtime: { log_level: debug,'));
    expect(await steps('--dry-run')).toEqual(['keep database', 'replace api', 'replace mcp:systemprompt']);
    expect(await steps()).toEqual(['keep database', 'replace api', 'replace mcp:systemprompt']);
    const after = await status();
    expect(after.services.map(({ state }) => state)).toEqual(['ready', 'ready', 'ready']);
    expect(after.services[0]?.instanceId).toBe(before.services[0]?.instanceId);
    expect(after.services[1]?.instanceId).not.toBe(before.services[1]?.instanceId);

    // Without a supervisor the plan is that of the next start.
    expect(await system.stop()).toEqual(noFootprint);
    const plan = await system.artifact<Plan>('infra', 'services', 'reconcile', '--dry-run');
    expect(plan.items.map(({ step, service }) => `${step} ${service}`)).toEqual([
      'start database',
      'start api',
      'start mcp:systemprompt',
    ]);
    expect(plan.notes?.join()).toContain('The database does not answer');
    expect((await system.run('infra', 'services', 'reconcile')).code).toBe(6);
  });
});
