import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventData, messageEvent, SseSplitter } from '../../../../src/lib/app/router/sse.ts';

const lineEnd = fc.constantFrom('\n', '\r', '\r\n');
const field = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((text) => `data: ${text.replaceAll(/[\r\n]/g, ' ')}`),
  fc.string().map((text) => `: ${text.replaceAll(/[\r\n]/g, ' ')}`),
  fc.constantFrom('event: message', 'id: 7', 'data', 'retry: 10'),
  // Longer than what is looked at byte by byte.
  fc.integer({ min: 100, max: 400 }).map((length) => `data: ${'x'.repeat(length)}`),
);
const stream = fc.array(fc.record({ fields: fc.array(field, { minLength: 1, maxLength: 4 }), end: lineEnd }), {
  maxLength: 6,
});

describe('SseSplitter', () => {
  it('gives the same events however the stream is cut, and loses no byte', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(40), { maxLength: 30 }), (events, cuts) => {
        const texts = events.map(({ fields, end }) => `${fields.join(end)}${end}${end}`);
        const bytes = Buffer.from(texts.join(''));
        const splitter = new SseSplitter(1_000_000);
        const found: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          found.push(...splitter.push(bytes.subarray(at, at + cut)));
          at = Math.min(bytes.length, at + cut);
        }
        found.push(...splitter.push(bytes.subarray(at)));
        expect(found.map((event) => eventData(event))).toEqual(texts.map((text) => reference(text)));
        const all = Buffer.concat(found);
        // Only the line feed of a last CRLF may still be pending.
        expect(bytes.subarray(0, all.length).equals(all)).toBe(true);
        expect(bytes.length - all.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses an event that grows past the limit, in one chunk and over many', () => {
    expect(() => new SseSplitter(10).push(Buffer.from('data: 123456789'))).toThrow(RangeError);
    const splitter = new SseSplitter(10);
    splitter.push(Buffer.from('data: 1\n\n'));
    splitter.push(Buffer.from('data: 12'));
    expect(() => splitter.push(Buffer.from('345\n\n'))).toThrow(RangeError);
  });

  it('reads the first event behind a byte order mark, as clients do: an answer must not pass as a comment', () => {
    const [event] = new SseSplitter(1_000).push(Buffer.from('\ufeffdata: {"id":1}\n\n'));
    expect(event && eventData(event)).toBe('{"id":1}');
  });

  it('reads back what messageEvent writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.stringify(value);
        const [event] = new SseSplitter(1_000_000).push(Buffer.from(messageEvent(json)));
        expect(event && eventData(event)).toBe(json);
      }),
    );
  });
});

/** The data of one event, by the letter of WHATWG HTML §9.2.6. */
function reference(text: string): string {
  const data: string[] = [];
  for (const line of text.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':');
    const name = colon === -1 ? line : line.slice(0, colon);
    if (name !== 'data') continue;
    const value = colon === -1 ? '' : line.slice(colon + 1);
    data.push(value.startsWith(' ') ? value.slice(1) : value);
  }
  return data.join('\n');
}
