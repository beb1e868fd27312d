import { expect, it } from 'vitest';
import { ListChangedScan } from '../../../../src/lib/app/router/list-changed.ts';

const said = (text: string, size: number): number => {
  const bytes = Buffer.from(text);
  const scan = new ListChangedScan();
  let count = 0;
  for (let at = 0; at < bytes.length; at += size) if (scan.sees(bytes.subarray(at, at + size))) count += 1;
  return count;
};

it.each([
  'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n',
  'data: {"method":"notifications\\/tools\\/list_changed","jsonrpc":"2.0"}\n\n',
])('is found once wherever the chunks are cut: %s', (text) => {
  for (let size = 1; size <= text.length; size += 1) expect([size, said(text, size)]).toEqual([size, 1]);
});

it('is not found in what is said of other lists', () => {
  const text = 'data: {"method":"notifications/prompts/list_changed"}\n\ndata: {"text":"tools/list"}\n\n';
  for (let size = 1; size <= text.length; size += 1) expect(said(text, size)).toBe(0);
});
