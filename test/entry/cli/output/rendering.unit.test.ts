import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { style } from '../../../../src/entry/cli/output/style.ts';
import type { Artifact, TableArtifact } from '../../../../src/lib/shared/artifact.ts';
import { artifactText } from '../../../../src/lib/shared/artifact-text.ts';
import { displayWidth, harmless } from '../../../../src/lib/shared/text/width.ts';

const services: TableArtifact = {
  type: 'table',
  title: 'http://localhost:8080 (supervisor 41)',
  columns: [
    { name: 'name', label: 'SERVICE', column_type: 'string' },
    { name: 'state', column_type: 'string' },
    { name: 'pid', column_type: 'integer' },
    { name: 'ready_in', label: 'READY IN', column_type: 'duration' },
    { name: 'since', column_type: 'date' },
    { name: 'never', column_type: 'string' },
    { name: 'error', label: 'LAST ERROR', column_type: 'string' },
  ],
  items: [
    { name: 'database', state: 'ready', pid: 101, ready_in: 812.4, since: '2026-11-21T10:00:00.123Z', error: null },
    {
      name: 'mcp:systemprompt',
      state: 'failed',
      pid: null,
      ready_in: null,
      since: null,
      error: 'port 5000 is taken by pid 99 (python3 -m http.server 5000), which is not ours',
    },
  ],
  count: 12,
  next_cursor: 'abc',
};

const chart: Artifact = {
  type: 'chart',
  title: 'Lines by level, a bar for 1 min',
  chart_type: 'bar',
  labels: ['2026-01-31T12:00:00.000Z', '2026-01-31T12:01:00.000Z', '2026-01-31T12:02:00.000Z'],
  label_type: 'date',
  series: [
    { name: 'error', values: [0, 0, 3] },
    { name: 'info', values: [7, 14, 0] },
  ],
  notes: ['Events and calls are missing'],
};

const card: Artifact = {
  type: 'presentation_card',
  title: 'systemprompt is running',
  subtitle: 'http://localhost:8080',
  sections: [
    {
      heading: 'Why',
      content: 'A sentence that is longer than eighty columns is broken at a space and goes on in the next line.',
    },
    {
      heading: 'Copy',
      content: `  claude mcp add --transport http systemprompt http://localhost:8080/${'x'.repeat(60)} --header "A: b"`,
    },
  ],
};

describe('golden', () => {
  it('a table at 80 columns: words give way, numbers and dates do not', () => {
    expect(artifactText(services, { width: 80 })).toMatchInlineSnapshot(`
      "http://localhost:8080 (supervisor 41)
      SERVICE           STATE   PID  READY IN  SINCE                 LAST ERROR
      database          ready   101    812 ms  2026-11-21 10:00:00Z  –
      mcp:systemprompt  failed    –         –  –                     port 5000 is tak…

      2 of 12 shown.
      More: --cursor abc"
    `);
  });

  it('a table at 120 columns', () => {
    expect(artifactText(services, { width: 120 })).toMatchInlineSnapshot(`
      "http://localhost:8080 (supervisor 41)
      SERVICE           STATE   PID  READY IN  SINCE                 LAST ERROR
      database          ready   101    812 ms  2026-11-21 10:00:00Z  –
      mcp:systemprompt  failed    –         –  –                     port 5000 is taken by pid 99 (python3 -m http.server 500…

      2 of 12 shown.
      More: --cursor abc"
    `);
  });

  it('a table that fits nowhere: one record after the other', () => {
    expect(artifactText(services, { width: 40 })).toMatchInlineSnapshot(`
      "http://localhost:8080 (supervisor 41)
      SERVICE     database
      STATE       ready
      PID         101
      READY IN    812 ms
      SINCE       2026-11-21 10:00:00Z
      LAST ERROR  –

      SERVICE     mcp:systemprompt
      STATE       failed
      PID         –
      READY IN    –
      SINCE       –
      LAST ERROR  port 5000 is taken by pid 9…

      2 of 12 shown.
      More: --cursor abc"
    `);
  });

  it('a card: prose is wrapped, a command stays on its line', () => {
    expect(artifactText(card, { width: 80 })).toMatchInlineSnapshot(`
      "systemprompt is running
      http://localhost:8080

      Why
        A sentence that is longer than eighty columns is broken at a space and goes on
        in the next line.

      Copy
          claude mcp add --transport http systemprompt http://localhost:8080/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx --header "A: b""
    `);
  });

  it('a chart: each series has a height of its own; where it is narrow neighbours share a bar', () => {
    expect(artifactText(chart, { width: 80 })).toMatchInlineSnapshot(`
      "Lines by level, a bar for 1 min
      error  ▁▁█  3, 3 at most
      info   ▅█▁  21, 14 at most
      2026-01-31 12:00:00Z … 2026-01-31 12:02:00Z

      Events and calls are missing"
    `);
    const many: Artifact = {
      ...chart,
      series: [{ name: 'info', values: Array.from({ length: 100 }, () => 1) }],
      labels: Array.from({ length: 100 }, () => 'x'),
      label_type: 'string',
    };
    const [, line = ''] = artifactText(many, { width: 60 }).split('\n');
    expect(displayWidth(line)).toBeLessThanOrEqual(60);
    expect(line).toContain('100, 1 at most');
    expect(artifactText({ ...chart, labels: [], series: [] }, { width: 80 })).toContain('No values found.');
  });

  it('a list', () => {
    const list: Artifact = {
      type: 'list',
      items: [
        { title: 'echo', summary: 'Gives back what it gets.' },
        { title: 'docs', link: 'https://example.com' },
      ],
      count: 2,
    };
    expect(artifactText(list, { width: 80 })).toMatchInlineSnapshot(`
      "echo
        Gives back what it gets.
      docs
        https://example.com"
    `);
  });
});

describe('colour', () => {
  it('adds marks and changes no letter', () => {
    const plain = artifactText(services, { width: 80, paint: style(false) });
    const coloured = artifactText(services, { width: 80, paint: style(true) });
    expect(plain).toBe(stripVTControlCharacters(plain));
    expect(stripVTControlCharacters(coloured)).toBe(plain);
    expect(coloured).toContain('\u001B[32mready\u001B[39m');
    expect(coloured).toContain('\u001B[31mfailed\u001B[39m');
  });
});

describe('whatever it is given', () => {
  const text = fc.string({ unit: 'binary', maxLength: 60 });
  const cell = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
  const rows = fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 5 });

  it('a table keeps to its width or becomes records, and obeys no escape', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 30, max: 200 }), (items, width) => {
        const table: TableArtifact = {
          type: 'table',
          columns: ['a', 'b', 'c'].map((name) => ({ name, column_type: 'string' })),
          items: items.map(([a, b, c]) => ({ a, b, c })),
          count: items.length,
        };
        const drawn = artifactText(table, { width });
        expect(drawn).toBe(harmless(drawn));
        for (const line of drawn.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(width);
      }),
      { numRuns: 300 },
    );
  });
});
