import { expect, it } from 'vitest';
import { helpEntries, renderRootHelp } from '../../../src/entry/cli/root-help.ts';

it('lists commands without a topic, then the topics with their commands, without the hidden ones', () => {
  const commands = [
    { id: 'infra:services:stop', summary: 'Stop' },
    { id: 'infra:services:start', summary: 'Start' },
    { id: 'doctor', summary: 'Check' },
    { id: 'admin:audit:list', summary: 'List' },
    { id: 'secret', summary: 'x', hidden: true },
  ];
  expect(helpEntries(commands, { 'infra:services': { description: 'Run them' } })).toEqual([
    { name: 'doctor', summary: 'Check' },
    { name: 'admin audit', summary: '', commands: ['list'] },
    { name: 'infra services', summary: 'Run them', commands: ['start', 'stop'] },
  ]);
});

it('marks up headers and nothing else', () => {
  const text = renderRootHelp({ description: 'd' }, [], (header) => `<${header}>`);
  expect(text.match(/<[^>]+>/g)).toEqual(
    expect.arrayContaining(['<USAGE>', '<COMMANDS>', '<TOPICS>', '<HELP TOPICS>']),
  );
});

it('shows a hundred commands on one page of 80 columns', () => {
  const topics = Array.from({ length: 15 }, (_, topic) => `topic${topic}:things`);
  const commands = topics.flatMap((topic) =>
    Array.from({ length: 7 }, (_, command) => ({ id: `${topic}:command${command}`, summary: 'Do something' })),
  );
  const descriptions = Object.fromEntries(topics.map((topic) => [topic, { description: 'What these things are for' }]));
  const text = renderRootHelp({ description: 'd' }, helpEntries(commands, descriptions), (header) => header);
  const lines = text.split('\n');
  for (const { id } of commands) expect(text).toContain(id.split(':').at(-1));
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  expect(lines.length).toBeLessThan(80);
});
