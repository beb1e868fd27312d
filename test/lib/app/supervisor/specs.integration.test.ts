import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Configuration, readConfiguration } from '../../../../src/lib/app/supervisor/configuration.ts';
import { serviceSpecs } from '../../../../src/lib/app/supervisor/specs.ts';
import { createLocalInstance, type Instance } from '../../../../src/lib/infra/config/instance.ts';
import { openSecretStore } from '../../../../src/lib/infra/config/secrets.ts';
import type { ServiceSpec } from '../../../../src/lib/infra/process/spec.ts';

let root: string;
let instance: Instance;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'sp-specs-'));
  instance = { ...(await createLocalInstance(root)), servicesDir: join(root, 'services') };
  for (const name of ['api', 'mcp']) put(join('dist', 'entry', name, 'main.js'), '');
  put(
    join('services', 'mcp', 'x.yaml'),
    'mcp_servers:\n  x:\n    module: x.js\n    port: 5001\n    description: a server\n    oauth: {required: true, scopes: [user]}\n',
  );
});
afterEach(() => {
  for (const folder of [root, instance.runtimeDir]) rmSync(folder, { recursive: true, force: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

async function specs(): Promise<ServiceSpec[]> {
  const configuration: Configuration = await readConfiguration(instance, 'local');
  return serviceSpecs(
    { ...configuration, instance, secrets: await openSecretStore(instance), packageRoot: root, env: {} },
    [],
  );
}

it('a module that does not exist fails the validation with its path and its place', async () => {
  await expect(specs()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    issues: [{ file: expect.stringContaining('x.yaml'), line: 3, message: 'the module x.js of x does not exist' }],
  });
});

it('a module that has gone since fails the next start, with its path and without another try', async () => {
  put('x.js', '');
  const found = (await specs()).find(({ name }) => name === 'mcp:x');
  await expect(found?.prepare?.(AbortSignal.abort())).resolves.toBeUndefined();
  rmSync(join(root, 'x.js'));
  await expect(found?.prepare?.(AbortSignal.abort())).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: `what it runs, ${join(root, 'x.js')}, does not exist`,
  });
});
