import { existsSync, readFileSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { ensureRuntimeDir } from '../../src/lib/infra/config/runtime-dir.ts';
import { runCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { until } from '../helpers/until.ts';

// The whole corpus goes through the loader in test/lib/app/config/broken.unit.test.ts; these few through the CLI.

const corpus = join(import.meta.dirname, '../fixtures/config/broken');

const chosen = [
  'bytes-binary',
  'tab-indents',
  'across-port-of-agent',
  'agent-skill-unknown',
  'include-cycle-of-three',
  'text-escape',
  'secret-key-literal',
  'profile-typo',
];

it.each(chosen)('%s: start exits with 6 and starts nothing, and doctor tells the same', async (name) => {
  await using folder = await temporaryFolder();
  await cp(join(corpus, name), folder.path, { recursive: true });
  const instance = await createLocalInstance(folder.path);
  await ensureRuntimeDir(instance);
  const profile = join(folder.path, 'profile.yaml');
  if (existsSync(profile)) await cp(profile, join(instance.projectDir, 'profiles/local/profile.yaml'));
  try {
    const places = readFileSync(join(folder.path, 'expected.txt'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.replace(/ .*/, ''));
    const started = await runCli(['infra', 'services', 'start', '--json'], { cwd: folder.path });
    const { error } = JSON.parse(started.stdout) as { error: { code: string; message: string } };
    expect({ code: started.code, error: error.code }).toEqual({ code: 6, error: 'CONFIG_INVALID' });
    for (const place of places) expect(error.message).toContain(`${place}  `);
    // A supervisor that refuses says so some milliseconds before it is gone itself.
    await until('nothing runs', async () => !existsSync(instance.controlSocket));
    expect(existsSync(join(instance.dataDir, 'postgres'))).toBe(false);

    const doctor = await runCli(['doctor'], { cwd: folder.path });
    expect(doctor.code).not.toBe(0);
    expect(doctor.stderr).toContain(`${places[0]}  `);
  } finally {
    await rm(instance.runtimeDir, { recursive: true, force: true });
  }
});
