import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { installPackages } from '../../../../src/lib/app/init/init.ts';
import { startInBackground } from '../../../../src/lib/infra/process/background.ts';
import { runEditor } from '../../../../src/lib/infra/process/editor.ts';
import { runTool } from '../../../../src/lib/infra/process/run-tool.ts';
import { packageRoot } from '../../../helpers/cli.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { until } from '../../../helpers/until.ts';

const secrets = {
  SYSTEMPROMPT_MASTER_KEY: 'canary-key',
  SYSTEMPROMPT_MASTER_KEY_NEXT: 'canary-next',
  VAULT_TOKEN: 'canary-token',
  SYSTEMPROMPT_DATABASE_URL: 'postgres://admin:canary-url@127.0.0.1/',
  PGPASSWORD: 'canary-password',
};

describe('a program that is not ours', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let env: Record<string, string>;
  const saw = (): Promise<string> => readFile(join(folder.path, 'saw'), 'utf8').catch(() => '');

  /** Each run tells in a file what it saw. */
  beforeAll(async () => {
    folder = await temporaryFolder();
    const bin = join(folder.path, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'npm'), `#!/bin/sh\nenv > "$SAW.new" && mv "$SAW.new" "$SAW"\n`, { mode: 0o755 });
    env = {
      PATH: `${bin}:${process.env['PATH']}`,
      HOME: folder.path,
      SAW: join(folder.path, 'saw'),
      NPM_TOKEN: 'of npm',
      ...secrets,
    };
    return () => folder[Symbol.asyncDispose]();
  });

  const programs: Record<string, () => Promise<unknown>> = {
    'npm, which runs the scripts of packages,': () => installPackages(folder.path, env, new AbortController().signal),
    'the editor': () => runEditor('npm', join(folder.path, 'any'), env),
    'what asks for a newer version': () =>
      runTool({
        file: process.execPath,
        args: [join(packageRoot, 'dist/entry/update/main.js')],
        env,
        cwd: folder.path,
        timeoutMs: 30_000,
        maxOutputBytes: 1000,
      }),
    'what goes on in the background': async () => {
      const module = join(folder.path, 'background.mjs');
      await writeFile(module, `import { execFileSync } from 'node:child_process'; execFileSync('npm');`);
      startInBackground(module, env, folder.path);
      await until('it ran', async () => (await saw()) !== '', 30_000);
    },
  };

  it.each(Object.keys(programs))('%s gets the environment without what opens the secrets', async (name) => {
    await writeFile(join(folder.path, 'saw'), '');
    await programs[name]?.();
    const text = await saw();
    expect(text).toContain('NPM_TOKEN=of npm');
    expect(text).not.toContain('canary');
  });
});
