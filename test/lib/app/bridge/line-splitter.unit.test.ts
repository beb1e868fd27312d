import { expect, it } from 'vitest';
import { LineSplitter, type LongLine } from '../../../../src/lib/app/bridge/line-splitter.ts';

function split(chunks: readonly Buffer[], limit = 1_000): { lines: string[]; long: LongLine[] } {
  const lines: string[] = [];
  const long: LongLine[] = [];
  const splitter = new LineSplitter(limit, {
    onLine: (line) => lines.push(line),
    onLongLine: (line) => long.push(line),
  });
  for (const chunk of chunks) splitter.push(chunk);
  return { lines, long };
}

it('finds the same lines wherever the chunks are cut, in the middle of a character too', () => {
  const bytes = Buffer.from('{"a":"ä€😀"}\r\n\n\nzwei\nrest');
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    expect(split(chunks)).toEqual({ lines: ['{"a":"ä€😀"}', 'zwei'], long: [] });
  }
});

it('keeps of a line that is too long its two ends, told at once and at its end, and goes on after it', () => {
  const bytes = Buffer.from(`before\n{"id":7,${'x'.repeat(5_000)},"id":8}\nafter\n`);
  for (const size of [1, 7, 300, 1_024, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    const { lines, long } = split(chunks);
    expect(lines).toEqual(['before', 'after']);
    expect(long.length).toBe(2);
    expect(long[0]?.head.startsWith('{"id":7,x')).toBe(true);
    expect(long[0]?.tail).toBe('');
    expect(long[1]?.tail.endsWith('x,"id":8}')).toBe(true);
  }
});
