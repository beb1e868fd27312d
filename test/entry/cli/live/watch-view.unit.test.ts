import { expect, it } from 'vitest';
import { emptyWatch, type WatchModel, withStatus } from '../../../../src/entry/cli/live/watch-model.ts';
import { WatchScreen } from '../../../../src/entry/cli/live/watch-view.ts';
import type { ServiceStatus } from '../../../../src/lib/app/supervisor/status.ts';
import { FakeTerminal } from '../../../helpers/fake-terminal.ts';

const measured: ServiceStatus = {
  name: 'api',
  kind: 'api',
  state: 'ready',
  pid: 4242,
  port: 8080,
  generation: 1,
  restarts: 2,
  readyAt: new Date(Date.now() - 125_000).toISOString(),
  health: {
    serving: true,
    checks: 3,
    failures: 0,
    consecutive: 0,
    downtimeMs: 0,
    latencyMs: 3.2,
    latencies: [1, 2, 8],
    eventLoopDelayMs: 12.5,
  },
  resources: { rssBytes: 87_000_000 },
};
const others: ServiceStatus[] = Array.from({ length: 30 }, (_, index) => ({
  name: `mcp:server-${index}`,
  kind: 'mcp',
  state: index === 0 ? 'failed' : 'ready',
  generation: 1,
  restarts: 0,
  ...(index === 0 ? { lastError: `no such file \u001B[2J${'x'.repeat(200)}` } : {}),
}));

function watching(services: readonly ServiceStatus[], more: Partial<WatchModel> = {}): WatchModel {
  const supervisor = {
    pid: 41,
    version: '1',
    epoch: 1,
    startedAt: '',
    state: 'running',
    rss: 1,
    acting: true,
  } as const;
  const status = {
    instanceId: 'i',
    root: '/',
    profile: 'p',
    supervisor,
    url: 'http://localhost:8080',
    services,
    phases: [],
  };
  return { ...withStatus(emptyWatch, status), ...more };
}

/** Draws and gives the lines of the last picture. */
async function drawn(terminal: FakeTerminal, model: WatchModel): Promise<string[]> {
  const screen = new WatchScreen(terminal, model);
  const frame = await terminal.frame((text) => text.includes('q quit'));
  await screen.close();
  return frame.split('\n').map((line) => line.trimEnd());
}

it('draws all that is measured where there is room', async () => {
  const lines = await drawn(
    new FakeTerminal(140),
    watching([measured], { deaths: new Map([['api', [Date.now() - 1000, Date.now() - 70_000, Date.now() - 71_000]]]) }),
  );
  expect(lines.join('\n')).toMatch(
    /SERVICE +STATE +PID +PORT +UP +RESTARTS +MEMORY +LOOP +PROBE +LATENCY +DOWN\/MINUTE/,
  );
  const row = lines.find((line) => line.includes('› api'));
  expect(row).toMatch(/› api +ready +4242 +8080 +2 min \d+ s +2 +87\.0 MB +\d+ ms +\d+ ms +▂▃█ +▁+█▅$/);
});

it.each([
  [40, 12],
  [80, 24],
  [120, 10],
])('fits a terminal of %d columns and %d rows, whatever there is to show', async (columns, rows) => {
  const events = Array.from({ length: 100 }, (_, index) => `12:00:00  event ${index} ${'y'.repeat(150)}`);
  const terminal = new FakeTerminal(columns, rows);
  const lines = await drawn(terminal, watching([measured, ...others], { events, selected: 'mcp:server-20' }));
  expect(lines.filter((line) => line !== '').length).toBeLessThan(rows);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
  expect(lines.some((line) => line.startsWith('› mcp:server-20'))).toBe(true);
  expect(lines.join('\n')).toContain('event 99');
  expect(terminal.text).not.toContain('\u001B[2Jx');
});

it('shows the reason of what failed, the output that is followed, and the question before a stop', async () => {
  const logs = { service: 'api', lines: ['{"level":"warn","time":"2026-01-01T00:00:00.000Z","msg":"it is slow"}'] };
  const lines = await drawn(
    new FakeTerminal(100),
    watching([measured, ...others.slice(0, 1)], { logs, asking: 'api', selected: 'api' }),
  );
  const text = lines.join('\n');
  expect(text).toMatch(/mcp:server-0 +failed +no such file x+…/);
  expect(text).toContain('OUTPUT of api\nwarn: it is slow');
  expect(text).toContain('Stop api, and what stands on it? y, or any other key');
});

it('is drawn again when the size of the terminal changes, and says when the supervisor is gone', async () => {
  const terminal = new FakeTerminal(140);
  const screen = new WatchScreen(terminal, watching([measured]));
  await terminal.frame((text) => text.includes('DOWN/MINUTE'));
  terminal.resize(60, 20);
  await terminal.frame((text) => text.includes('SERVICE') && !text.includes('LATENCY'));
  screen.show(watching([measured], { connected: false }));
  await terminal.frame((text) => text.includes('the supervisor (41) is gone'));
  await screen.close();
  // What stood there before is there again, and the cursor too.
  expect(terminal.text).toContain('\u001B[?1049h');
  expect(terminal.text.lastIndexOf('\u001B[?1049l')).toBeGreaterThan(terminal.text.lastIndexOf('q quit'));
  expect(terminal.text).toContain('\u001B[?25h');
});
