import fc from 'fast-check';
import { type Artifact, artifactSchema, NotFoundError } from 'systemprompt';
import { describe, expect, it } from 'vitest';
import { Pages } from '../../../../extensions/mcp/systemprompt/pages.ts';
import { cutPage } from '../../../../extensions/mcp/systemprompt/paging.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 400 });
const facts = fc.option(fc.dictionary(fc.constantFrom('a', 'b'), text), { nil: undefined });

const artifacts: fc.Arbitrary<Artifact> = fc.oneof(
  fc.record(
    {
      type: fc.constantFrom('text' as const, 'copy_paste_text' as const),
      content: fc.string({ unit: 'grapheme', maxLength: 3000 }),
      data: facts,
    },
    { requiredKeys: ['type', 'content'] },
  ),
  fc.array(fc.record({ name: text }), { maxLength: 60 }).map((items) => ({
    type: 'table' as const,
    columns: [{ name: 'name', column_type: 'string' as const }],
    items,
    count: items.length,
  })),
  fc
    .array(fc.record({ title: text, summary: text }), { maxLength: 60 })
    .map((items) => ({ type: 'list' as const, items, count: items.length })),
  fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 400 }).map((values) => ({
    type: 'chart' as const,
    chart_type: 'bar' as const,
    labels: values.map((_, index) => `span ${index}`),
    label_type: 'string' as const,
    series: [{ name: 'info', values }],
  })),
  fc
    .array(fc.record({ heading: text, content: text }), { maxLength: 10 })
    .map((sections) => ({ type: 'presentation_card' as const, title: 'Card', sections })),
);

/** All parts, each checked against the limit. */
function parts(artifact: Artifact, limit: number): Artifact[] {
  const found: Artifact[] = [];
  for (let position: number | undefined = 0; position !== undefined; ) {
    const cut = cutPage(artifact, position, limit);
    expect(Buffer.byteLength(JSON.stringify(cut.artifact))).toBeLessThanOrEqual(limit);
    expect(artifactSchema.safeParse(cut.artifact).success).toBe(true);
    expect(cut.next === undefined || cut.next > position).toBe(true);
    found.push(cut.artifact);
    position = cut.next;
  }
  return found;
}

/** What the parts are together. */
function whole(found: readonly Artifact[]): unknown {
  const [first] = found;
  if (first === undefined) throw new Error('There is always a part');
  if ('items' in first) {
    return { ...first, items: found.flatMap((part): unknown[] => ('items' in part ? part.items : [])) };
  }
  const content = found.map((part) => ('content' in part ? part.content : '')).join('');
  return first.type === 'text' && first.title?.endsWith('(JSON, in parts)')
    ? JSON.parse(content)
    : { ...first, content };
}

describe('cutPage', () => {
  it('cuts anything into parts within the limit that together are the whole', () => {
    fc.assert(
      fc.property(artifacts, fc.integer({ min: 1024, max: 6000 }), (artifact, limit) => {
        expect(whole(parts(artifact, limit))).toEqual(JSON.parse(JSON.stringify(artifact)));
      }),
    );
  });

  it('keeps what is beside the text only once when it is small', () => {
    const found = parts({ type: 'text', title: 'T', content: 'x'.repeat(5000), data: { a: 1 } }, 1024);
    expect(found.length).toBeGreaterThan(4);
  });
});

describe('Pages', () => {
  const big: Artifact = { type: 'text', content: 'x'.repeat(5000) };
  const anna = { userId: 'anna', scopes: ['user'] };
  const ben = { userId: 'ben', scopes: ['admin'] };

  function cursorOf(artifact: Artifact): string {
    const { next_cursor: cursor } = artifact as { next_cursor?: string };
    if (cursor === undefined) throw new Error('no cursor');
    return cursor;
  }

  it('returns what fits as it is', () => {
    expect(new Pages().first(big, 10_000, anna, 'user')).toBe(big);
  });

  it('forgets after its time', () => {
    let now = 0;
    const pages = new Pages({ ttlMs: 1000 }, () => now);
    const cursor = cursorOf(pages.first(big, 2000, anna, 'user'));
    now = 999;
    expect(pages.next(cursor, 2000, anna).type).toBe('text');
    now = 1000;
    expect(() => pages.next(cursor, 2000, anna)).toThrow(NotFoundError);
  });

  it('serves the same user only, while the right is still held', () => {
    const pages = new Pages();
    const cursor = cursorOf(pages.first(big, 2000, ben, 'admin'));
    expect(() => pages.next(cursor, 2000, { ...anna, scopes: ['admin'] })).toThrow(NotFoundError);
    expect(() => pages.next(cursor, 2000, { ...ben, scopes: ['user'] })).toThrow(NotFoundError);
    expect(pages.next(cursor, 2000, ben).type).toBe('text');
  });

  it('drops a user’s own oldest first, and others’ only when all together are too much', () => {
    const pages = new Pages({ perUser: 11_000, total: 16_000 });
    const keep = (reader: typeof anna): string => cursorOf(pages.first(big, 2000, reader, 'user'));
    const [bens, first, second, third] = [keep(ben), keep(anna), keep(anna), keep(anna)];
    expect(() => pages.next(first, 2000, anna)).toThrow(NotFoundError);
    for (const [cursor, reader] of [
      [bens, ben],
      [second, anna],
      [third, anna],
    ] as const) {
      expect(pages.next(cursor, 2000, reader).type).toBe('text');
    }
    keep({ userId: 'carl', scopes: ['user'] });
    expect(() => pages.next(bens, 2000, ben)).toThrow(NotFoundError);
    expect(pages.next(third, 2000, anna).type).toBe('text');
  });

  it('tells a cursor of a command from its own', () => {
    expect(() => new Pages().next('eyJpZCI6MX0', 2000, anna)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('--cursor') }),
    );
  });
});
