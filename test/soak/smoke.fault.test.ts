import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const kinds = [
  'kill-api',
  'kill-mcp',
  'kill-database',
  'kill-grandchild',
  'kill-supervisor',
  'start-race',
  'steal-port-mcp',
  'restart-mcp',
];

it('a quarter of a minute of chaos costs no acknowledged call and leaves nothing behind', async () => {
  const options = ['--seed', '4', '--minutes', '0.25', '--clients', '4', '--flips', '0', '--only', kinds.join()];
  const child = spawn(process.execPath, [join(import.meta.dirname, 'run.ts'), ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  await once(child, 'close');
  expect(child.exitCode, said).toBe(0);
});
