import { expect, it } from 'vitest';
import { selectServices } from '../../../../src/lib/app/supervisor/selection.ts';
import { NotFoundError } from '../../../../src/lib/shared/errors.ts';

const known = [
  { name: 'database', kind: 'database' },
  { name: 'api:1', kind: 'api' },
  { name: 'api:2', kind: 'api' },
  { name: 'mcp:hello', kind: 'mcp' },
  { name: 'mcp:agent', kind: 'mcp' },
  { name: 'agent', kind: 'agent' },
  { name: 'agent:two', kind: 'agent' },
];
const chosen = (...words: string[]) => selectServices(words, known).map(({ name }) => name);

it.each([
  [['mcp'], ['mcp:hello', 'mcp:agent']],
  [['api'], ['api:1', 'api:2']],
  [['api:2'], ['api:2']],
  [
    ['mcp:agent', 'database', 'mcp'],
    ['database', 'mcp:hello', 'mcp:agent'],
  ],
  // A name wins over a kind.
  [['agent'], ['agent']],
])('%j means %j', (words, names) => {
  expect(chosen(...words)).toEqual(names);
});

it.each([
  ['mcp:helo', 'mcp:hello'],
  ['hello', 'mcp:hello'],
  ['databse', 'database'],
])('%s is no service, %s is', (word, like) => {
  const refusal = expect(() => chosen('api', word));
  refusal.toThrow(NotFoundError);
  try {
    chosen(word);
  } catch (error) {
    expect((error as NotFoundError).hint).toContain(like);
    expect((error as NotFoundError).data['nearest']).toContain(like);
  }
});

it('what is like nothing gets the list', () => {
  expect(() => chosen('quite-something-else')).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('There is: database, api:1') }),
  );
});
