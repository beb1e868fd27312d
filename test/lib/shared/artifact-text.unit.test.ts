import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Artifact, TableArtifact } from '../../../src/lib/shared/artifact.ts';
import { artifactText } from '../../../src/lib/shared/artifact-text.ts';
import { displayWidth } from '../../../src/lib/shared/text/width.ts';

const table: TableArtifact = {
  type: 'table',
  columns: [
    { name: 'name', column_type: 'string' },
    { name: 'took', label: 'TOOK', column_type: 'duration' },
    { name: 'never', column_type: 'string' },
  ],
  items: [
    { name: 'short', took: 12, never: null },
    { name: 'a name that is rather long for a table', took: 61_000, never: null },
  ],
  count: 2,
};

describe('artifactText', () => {
  it('lays a table out in columns, without those that are empty', () => {
    expect(artifactText(table, { width: 80 })).toBe(
      [
        'NAME                                         TOOK',
        'short                                       12 ms',
        'a name that is rather long for a table  1 min 1 s',
      ].join('\n'),
    );
    expect(artifactText(table, { width: 80 })).not.toContain('NEVER');
  });

  it('cuts what a row is called after everything else', () => {
    const columns = ['name', 'reason', 'by'].map((name) => ({ name, column_type: 'string' as const }));
    const items = [{ name: 'mcp/systemprompt.yaml', reason: 'only a reason, which is long', by: 'owner' }];
    const narrow = (width: number) => artifactText({ type: 'table', columns, items, count: 1 }, { width });
    expect(narrow(42)).toContain('mcp/systemprompt.yaml  only a reas…  owner');
    expect(narrow(34)).toMatch(/^…\S+\.yaml {2}only\S*.*… {2}owner$/m);
  });

  it('cuts cells that are too wide, or, whole, shows record after record with every word', () => {
    const cut = artifactText(table, { width: 30 });
    expect(cut).toContain('…');
    const whole = artifactText(table, { width: 30, whole: true });
    expect(whole).toContain('a name that is rather long for a table');
    expect(whole).not.toContain('…');
  });

  it('cuts a path at its beginning', () => {
    const columns = [
      { name: 'file', column_type: 'string' as const },
      { name: 'kind', column_type: 'string' as const },
    ];
    const items = [{ file: '/home/ann/project/services/mcp/systemprompt.yaml', kind: 'mcp' }];
    const text = artifactText({ type: 'table', columns, items, count: 1 }, { width: 30 });
    expect(text).toContain('…s/mcp/systemprompt.yaml  mcp');
  });

  it('never exceeds the width with a table that can be squeezed into it', () => {
    const cells = fc.string({ unit: 'grapheme', maxLength: 60 });
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: cells, took: fc.nat() }), { minLength: 1 }),
        fc.integer({ min: 30, max: 120 }),
        (items, width) => {
          const text = artifactText({ ...table, items, count: items.length }, { width });
          for (const line of text.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(width);
        },
      ),
    );
  });

  it('says how much is missing and how to get it, in the words it is given', () => {
    const part: Artifact = { ...table, count: 9, next_cursor: 'abc' };
    expect(artifactText(part, { width: 80 })).toMatch(/\n\n2 of 9 shown\.\nMore: --cursor abc$/);
    expect(artifactText(part, { width: 80, more: (cursor) => `next: ${cursor}` })).toMatch(/next: abc$/);
    expect(artifactText({ type: 'text', content: 'a', next_cursor: 'abc' }, { width: 80 })).toBe(
      'a\n\nMore: --cursor abc',
    );
  });

  it('says what there is not', () => {
    const none = { ...table, items: [], count: 0 };
    expect(artifactText({ ...none, empty: 'No agents found.' }, { width: 80 })).toBe('No agents found.');
    expect(artifactText(none, { width: 80 })).toBe('No items found.');
  });

  it('leaves what is to be copied as it is, and takes escape sequences out of everything', () => {
    const long = 'x'.repeat(200);
    expect(artifactText({ type: 'copy_paste_text', title: 'T', content: long }, { width: 20 })).toBe(long);
    const hostile = '\u001B]0;title\u0007\u001B[31mred\u001B[0m\u0000';
    for (const artifact of [
      { type: 'text', content: hostile },
      { type: 'list', items: [{ title: hostile, summary: hostile }], count: 1 },
      { type: 'presentation_card', title: hostile, sections: [{ heading: hostile, content: hostile }] },
    ] as Artifact[]) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      expect(artifactText(artifact, { width: 80 })).not.toMatch(/[\u0000-\u0009\u000B-\u001F]/);
    }
  });

  it('wraps the text of cards and lists', () => {
    const words = 'word '.repeat(40).trim();
    const card: Artifact = { type: 'presentation_card', title: 'T', sections: [{ heading: 'H', content: words }] };
    const list: Artifact = { type: 'list', items: [{ title: 'T', summary: words }], count: 1 };
    for (const artifact of [card, list]) {
      for (const line of artifactText(artifact, { width: 40 }).split('\n')) expect(line.length).toBeLessThanOrEqual(40);
    }
  });
});
