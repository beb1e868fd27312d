import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Keyboard } from '../../../../src/entry/cli/live/keys.ts';
import { watchDrawn } from '../../../../src/entry/cli/live/watch.ts';
import { emptyWatch } from '../../../../src/entry/cli/live/watch-model.ts';
import { WatchScreen } from '../../../../src/entry/cli/live/watch-view.ts';
import { FakeKeyboard, FakeTerminal } from '../../../helpers/fake-terminal.ts';
import { Supervised } from '../../../helpers/supervised.ts';

let system: Supervised;
beforeEach(async () => {
  system = await Supervised.create();
});
afterEach(async () => {
  await system.remove();
});

function watch() {
  const terminal = new FakeTerminal(110, 24);
  const keyboard = new FakeKeyboard();
  const screen = new WatchScreen(terminal, emptyWatch);
  const interrupt = new AbortController();
  let interrupted = false;
  const ended = watchDrawn({ controlSocket: system.socket }, keyboard as unknown as Keyboard, screen, {
    signal: interrupt.signal,
    interrupt: () => {
      interrupted = true;
    },
  }).finally(() => screen.close());
  return { terminal, keyboard, ended, interrupted: () => interrupted };
}

it('steers services by keys, outlives the supervisor, and gives the terminal back', async () => {
  const services = [
    { name: 'a', program: 'good', port: system.port(0) },
    { name: 'b', program: 'good', port: system.port(1) },
  ];
  const first = await system.start(services);
  for (const name of ['a', 'b']) await system.state(first.client, name, ({ state }) => state === 'ready');
  const { terminal, keyboard, ended } = watch();
  await terminal.frame((text) => /› a +ready +\d+ +\d+/.test(text) && / b +ready/.test(text));
  expect(keyboard.raw).toBe(true);

  keyboard.press('\u001B[B', 's');
  await terminal.frame((text) => text.includes('Stop b, and what stands on it?'));
  keyboard.press('n');
  await terminal.frame((text) => text.includes('b was not stopped'));
  keyboard.press('s', 'y');
  await terminal.frame((text) => / b +stopped/.test(text) && text.includes('Stopped b'));
  keyboard.press('s');
  await terminal.frame((text) => / b +ready/.test(text) && text.includes('Started b'));
  keyboard.press('k', 'r');
  await terminal.frame((text) => text.includes('Restarted a'));
  keyboard.press('l');
  await terminal.frame((text) => text.includes('OUTPUT of a'));
  keyboard.press('l');
  await terminal.frame((text) => text.includes('EVENTS'));

  await system.kill(first.process);
  await terminal.frame((text) => text.includes('is gone; the table is what it told last'));
  keyboard.press('r');
  await terminal.frame((text) => text.includes('No supervisor answers'));
  const second = await system.start(services);
  await terminal.frame((text) => text.includes(`supervisor ${second.process.pid} running`));

  keyboard.press('q');
  expect((await ended)?.supervisor.pid).toBe(second.process.pid);
  expect(keyboard.raw).toBe(false);
  expect(keyboard.listenerCount('data')).toBe(0);
  first.client.close();
  await system.stop(second.client);
});

it('Ctrl-C is a key in raw mode: it ends the watch as an interrupt', async () => {
  const { client } = await system.start([]);
  const { terminal, keyboard, ended, interrupted } = watch();
  await terminal.frame((text) => text.includes('supervisor'));
  keyboard.press('\u0003');
  await ended;
  expect(interrupted()).toBe(true);
  await system.stop(client);
});
