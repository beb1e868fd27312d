import { expect, it } from 'vitest';
import { differences } from '../../../src/entry/cli/not-in-force.ts';
import { planLive } from '../../../src/lib/app/supervisor/live-plan.ts';

const digests = { artefactHash: 'x', configHash: 'y' };
const running = (name: string) => ({
  name,
  state: 'ready' as const,
  onPurpose: false,
  spec: digests,
  process: digests,
  standIn: false,
});
const configured = (name: string, more: Partial<typeof digests> = {}) => ({ name, dependsOn: [], ...digests, ...more });
const files = new Map([['mcp:a', 'services/mcp/a.yaml']]);

it('names the file of each restarted service that is configured otherwise by now, and nothing else', () => {
  const steps = planLive(
    [
      configured('mcp:a', { artefactHash: 'new', configHash: 'new' }),
      configured('mcp:code', { artefactHash: 'new' }),
      configured('mcp:same'),
      configured('mcp:other', { configHash: 'new' }),
      configured('api', { configHash: 'new' }),
    ],
    ['mcp:a', 'mcp:code', 'mcp:same', 'mcp:other', 'mcp:gone', 'api'].map(running),
    [],
    [],
  );
  const names = ['mcp:a', 'mcp:code', 'mcp:same', 'mcp:gone', 'api'];
  expect(differences({ valid: true, steps }, names, files)).toEqual([
    'mcp:gone: it is no longer configured, and was restarted as before',
    'mcp:a: services/mcp/a.yaml, or a secret that it gets, has changed, and it was restarted with the configuration of before',
    'api: its configuration has changed, and it was restarted with the configuration of before',
  ]);
});

it('names the place of the first finding when the configuration is invalid', () => {
  const issue = { file: 'services/mcp/a.yaml', line: 3, column: 11, message: 'must be a number' };
  const [note] = differences({ valid: false, issues: [issue, issue], steps: [] }, ['mcp:a'], files);
  expect(note).toContain('(services/mcp/a.yaml:3:11: must be a number, and 1 more)');
});
