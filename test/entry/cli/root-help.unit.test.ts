import { expect, it } from 'vitest';
import { helpEntries, renderRootHelp } from '../../../src/entry/cli/root-help.ts';

it('lists whole command names, sorted, without the hidden ones', () => {
  const commands = [
    { id: 'infra:services:stop', summary: 'Stop' },
    { id: 'doctor', summary: 'Check' },
    { id: 'secret', summary: 'x', hidden: true },
  ];
  expect(helpEntries(commands)).toEqual([
    { name: 'doctor', summary: 'Check' },
    { name: 'infra services stop', summary: 'Stop' },
  ]);
});

it('marks up headers and nothing else', () => {
  const text = renderRootHelp({ version: '1', description: 'd' }, [], (header) => `<${header}>`);
  expect(text.match(/<[^>]+>/g)).toEqual(expect.arrayContaining(['<USAGE>', '<COMMANDS>', '<EXIT CODES>']));
});
