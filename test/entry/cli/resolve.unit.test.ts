import { describe, expect, it } from 'vitest';
import { resolveCommand, suggestCommands } from '../../../src/entry/cli/resolve.ts';

const ids = [
  'doctor',
  'infra:services:start',
  'infra:services:status',
  'infra:services:stop',
  'infra:services:logs',
  'infra:db:status',
  'plugins:mcp:call',
  'plugins:mcp:status',
];

describe('resolveCommand', () => {
  it('takes words as long as they extend a command, and leaves the rest to the parser', () => {
    expect(resolveCommand(['infra', 'services', 'logs', 'api', '-n', '5'], ids)).toEqual({
      kind: 'command',
      id: 'infra:services:logs',
      argv: ['api', '-n', '5'],
    });
  });

  it('never takes an argument for a part of the name', () => {
    expect(resolveCommand(['infra', 'services', 'logs', 'status'], ids)).toMatchObject({ argv: ['status'] });
  });

  it('accepts colons as well as spaces', () => {
    expect(resolveCommand(['infra:services:status', '--json'], ids)).toEqual({
      kind: 'command',
      id: 'infra:services:status',
      argv: ['--json'],
    });
  });

  it('accepts global flags before the command', () => {
    expect(resolveCommand(['--json', '--profile', 'prod', 'doctor'], ids)).toEqual({
      kind: 'command',
      id: 'doctor',
      argv: ['--json', '--profile', 'prod'],
    });
  });

  it.each([
    [['--help'], ''],
    [['-h'], ''],
    [[], ''],
    [['--json'], ''],
    [['infra'], 'infra'],
    [['infra', '--help'], 'infra'],
    [['help', 'infra', 'db'], 'infra:db'],
    [['infra', 'services', 'status', '--help'], 'infra:services:status'],
    [['--help', 'doctor'], 'doctor'],
    [['plugins', 'mcp', 'call', 'a', 'b', '--help'], 'plugins:mcp:call'],
  ])('shows help for %j', (argv, subject) => {
    expect(resolveCommand(argv, ids)).toEqual({ kind: 'help', subject });
  });

  it('leaves --help alone behind a double dash', () => {
    expect(resolveCommand(['plugins', 'mcp', 'call', '--', '--help'], ids)).toMatchObject({
      kind: 'command',
      argv: ['--', '--help'],
    });
  });

  it('knows the version anywhere before the command', () => {
    expect(resolveCommand(['--json', '--version'], ids)).toEqual({ kind: 'version' });
  });

  it.each([
    [['infra', 'srvices', 'status'], 'infra services status'],
    [['infra', 'services', 'sttaus'], 'infra services status'],
    [['services', 'stop'], 'infra services stop'],
    [['logs'], 'infra services logs'],
    [['docter'], 'doctor'],
    [['plugin', 'mcp', 'cal', 'x'], 'plugins mcp call'],
  ])('suggests what %j may have meant', (argv, expected) => {
    const resolution = resolveCommand(argv, ids);
    expect(resolution.kind).toBe('unknown-command');
    expect(resolution.kind === 'unknown-command' && resolution.suggestions[0]).toBe(expected);
  });

  it('suggests nothing for what looks like nothing', () => {
    expect(suggestCommands(['zzzzzzzz'], ids)).toEqual([]);
  });

  it('names a flag that a topic does not know', () => {
    expect(resolveCommand(['infra', '--nope'], ids)).toEqual({
      kind: 'unknown-flag',
      flag: '--nope',
      subject: 'infra',
    });
  });
});
