import fc from 'fast-check';
import { UsageError } from 'systemprompt';
import type { CliCommand, CliManifest } from 'systemprompt/mcp';
import { describe, expect, it } from 'vitest';
import { positionals, resolveRequest } from '../../../../extensions/mcp/systemprompt/resolve.ts';
import { resolveCommand } from '../../../../src/entry/cli/resolve.ts';

function command(name: string, flags: CliCommand['flags'] = []): CliCommand {
  return { name, summary: '', args: [], flags, declaration: { effect: 'read', permission: 'user', needs: 'none' } };
}

const limit = { name: 'limit', char: 'n', type: 'option', required: false, multiple: false, global: false } as const;
const all = { name: 'all', type: 'boolean', required: false, multiple: false, global: false } as const;
const list = command('admin audit list', [limit, all]);
const manifest: CliManifest = {
  version: '1',
  commands: [list, command('admin audit show'), command('doctor'), command('infra services status')],
  topics: {},
  helpTopics: [{ name: 'agents', summary: 'The contract' }],
};

describe('resolveRequest', () => {
  it.each([
    [['doctor'], 'doctor', []],
    [['admin', 'audit', 'list', '--limit', '3'], 'admin audit list', ['--limit', '3']],
    [['admin:audit:show', 'an id', '--', '--help'], 'admin audit show', ['an id', '--', '--help']],
    [['--json', 'doctor', '--non-interactive', 'x'], 'doctor', ['x']],
  ])('%j', (words, name, rest) => {
    expect(resolveRequest(words, manifest)).toMatchObject({ kind: 'command', command: { name }, words: rest });
  });

  it('help: a page that is about no command', () => {
    expect(resolveRequest(['help', 'agents', '--json'], manifest)).toEqual({ kind: 'help-topic', name: 'agents' });
    expect(() => resolveRequest(['help', 'agnts'], manifest)).toThrow("There is no command 'agnts'");
  });

  it.each([[[]], [['admin']], [['admin', 'audit', '--help']], [['help', 'doctor']], [['doctor', '-h']]])(
    'help: %j',
    (words) => {
      expect(resolveRequest(words, manifest).kind).toBe('help');
    },
  );

  it.each([
    [['docktor']],
    [['admin', 'audit', 'lst']],
    [['constructor']],
    [['admin', 'services', 'status']],
    [['--verbose']],
  ])('unknown: %j', (words) => {
    expect(() => resolveRequest(words, manifest)).toThrow(UsageError);
  });

  it('finds the same command as the CLI does, from the words that the tool hands it', () => {
    const ids = manifest.commands.map(({ name }) => name.replaceAll(' ', ':'));
    const pool = [
      'admin',
      'audit',
      'list',
      'show',
      'doctor',
      'infra',
      'infra:services',
      'status',
      '--json',
      '--limit',
      '-h',
      '--',
      'x',
      '',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pool), { maxLength: 7 }), (words) => {
        let request: ReturnType<typeof resolveRequest>;
        try {
          request = resolveRequest(words, manifest);
        } catch {
          return;
        }
        if (request.kind !== 'command') return;
        const line = [...request.command.name.split(' '), '--json', '--non-interactive', ...request.words];
        expect(resolveCommand(line, ids)).toMatchObject({
          kind: 'command',
          id: request.command.name.replaceAll(' ', ':'),
        });
      }),
      { numRuns: 2000 },
    );
  });
});

describe('positionals', () => {
  it.each([
    [
      ['a', '--limit', 'b', 'c'],
      ['a', 'c'],
    ],
    [
      ['--limit=b', '-n', '3', '--all', 'c', '-'],
      ['c', '-'],
    ],
    [
      ['--all', '--', '--limit', 'x'],
      ['--limit', 'x'],
    ],
  ])('%j', (words, found) => {
    expect(positionals(list, words)).toEqual(found);
  });
});
