import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { runFixture } from '../../helpers/run-fixture.ts';

// Here the time between two signals is what is tested; there is nothing else to wait for.

it('a Ctrl-C that npm passes on 20 ms after the terminal is still the first one; 600 ms later it is the second', async () => {
  const cli = runFixture('cli/interrupts.ts', []);
  expect(await cli.line()).toBe('listening 0');
  cli.process.kill('SIGINT');
  expect([await cli.line(), await cli.line()]).toEqual(['graceful SIGINT', 'signal']);
  await delay(20);
  cli.process.kill('SIGINT');
  expect(await cli.line()).toBe('signal');
  await delay(600);
  cli.process.kill('SIGINT');
  expect(await cli.line()).toBe('at once SIGINT');
  expect(await cli.ended()).toMatchObject({ code: 0, stderr: '' });
});
