import { expect, it } from 'vitest';
import { helpTopicText } from '../../../src/entry/cli/help-topics.ts';
import { resolveCommand } from '../../../src/entry/cli/resolve.ts';
import { helpTopics } from '../../../src/lib/shared/help-topics.ts';

it.each(helpTopics)('$name is a page of 80 columns that begins with what it is', ({ name, summary }) => {
  const lines = helpTopicText(name, (text) => text).split('\n');
  expect(lines[0]).toBe(summary);
  expect(lines.length).toBeGreaterThan(8);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  expect(resolveCommand(['help', name], ['doctor'])).toEqual({ kind: 'help-topic', name });
});

it('leaves the names to commands elsewhere', () => {
  expect(resolveCommand(['environment'], ['doctor'])).toMatchObject({ kind: 'unknown-command' });
});
