import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startSystem } from '../helpers/running-system.ts';

it('a module that is missing, or throws at load, is told by the file and line that name it', async () => {
  await using system = await startSystem();
  await system.stop();
  const { root } = system.instance;
  const folder = join(root, 'services', 'mcp');
  await mkdir(folder, { recursive: true });
  const write = (module: string) =>
    writeFile(
      join(folder, 'bad.yaml'),
      `mcp_servers:\n  bad:\n    module: ${module}\n    port: 5012\n    description: For a test\n    oauth: { scopes: [user] }\n`,
    );

  await write('nowhere/bad');
  const missing = await system.run('infra', 'services', 'start');
  expect(missing.code).not.toBe(0);
  expect(missing.stderr).toMatch(/services\/mcp\/bad\.yaml:3:13 +the module nowhere\/bad of bad does not exist/);

  await writeFile(join(root, 'throws.js'), "throw new Error('there is no teapot');\n");
  await write('throws.js');
  const thrown = await system.run('infra', 'services', 'start');
  expect(thrown.code).toBe(8);
  expect(thrown.stderr).toMatch(
    /mcp:bad: \S*services\/mcp\/bad\.yaml:3:13: it found its configuration invalid: .*there is no teapot/,
  );
  expect(thrown.stderr).not.toContain('configuration invalid: {');
});
