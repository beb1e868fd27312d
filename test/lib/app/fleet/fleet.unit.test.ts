import { describe, expect, it } from 'vitest';
import { circuitOf } from '../../../../src/lib/app/fleet/fleet.ts';
import { toolsOfServer } from '../../../../src/lib/app/fleet/tools.ts';
import type { ServiceStatus } from '../../../../src/lib/app/supervisor/status.ts';
import type { Circuits } from '../../../../src/lib/infra/process/spec.ts';

describe('the circuit breaker of a server', () => {
  const notes = { name: 'notes', breaker: { failures: 5, cooldownMs: 1000 }, enabled: true };
  const processes = (...said: (Circuits | undefined)[]) =>
    said.map((circuits) => ({ kind: 'api', health: { circuits } }) as unknown as ServiceStatus);

  it('is as the process has it that has it worst', () => {
    expect(circuitOf(notes, processes(undefined, undefined))).toBe('closed');
    expect(circuitOf(notes, processes({ other: 'open' }))).toBe('closed');
    expect(circuitOf(notes, processes({ notes: 'half_open' }, undefined))).toBe('half_open');
    expect(circuitOf(notes, processes(undefined, { notes: 'half_open' }, { notes: 'open' }))).toBe('open');
  });

  it('is not there without a breaker, for a server that is off, and while no API process was asked', () => {
    const open = processes({ notes: 'open' });
    expect(circuitOf({ ...notes, breaker: undefined }, open)).toBeUndefined();
    expect(circuitOf({ ...notes, enabled: false }, open)).toBeUndefined();
    expect(circuitOf({ ...notes, virtual: { targets: [] } }, open)).toBeUndefined();
    expect(circuitOf(notes, [{ kind: 'api' }])).toBeUndefined();
  });
});

describe('the tools of a virtual server', () => {
  const tool = (name: string, description?: string) => ({
    name,
    title: undefined,
    description,
    state: name === 'drop' ? ('held' as const) : ('approved' as const),
    reason: undefined,
  });
  const known = new Map([
    ['notes', [tool('add', 'Adds a note'), tool('drop')]],
    ['tasks', [tool('add'), tool('list')]],
  ]);

  it('are those of its targets by their names here, the first of a name, held where they are held there', () => {
    const desk = {
      name: 'desk',
      virtual: {
        targets: [
          { server: 'notes', prefix: 'n_', tools: '*' as const },
          {
            server: 'tasks',
            prefix: '',
            tools: [
              { tool: 'list', as: 'n_drop' },
              { tool: 'list', as: 'todo', description: 'What is to do' },
              { tool: 'gone', as: 'gone' },
            ],
          },
        ],
      },
    } as unknown as Parameters<typeof toolsOfServer>[0];
    expect(toolsOfServer(desk, known)?.map(({ name, description, state }) => ({ name, description, state }))).toEqual([
      { name: 'n_add', description: 'Adds a note', state: 'approved' },
      { name: 'n_drop', description: undefined, state: 'held' },
      { name: 'todo', description: 'What is to do', state: 'approved' },
    ]);
  });

  it('are not known where nothing is, and a server that is none has its own', () => {
    expect(toolsOfServer({ name: 'desk', virtual: { targets: [] } }, undefined)).toBeUndefined();
    expect(toolsOfServer({ name: 'tasks' }, known)).toBe(known.get('tasks'));
  });
});
