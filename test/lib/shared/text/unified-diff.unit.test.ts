import { expect, it } from 'vitest';
import { unifiedDiff } from '../../../../src/lib/shared/text/unified-diff.ts';

const lines = (...numbers: (number | string)[]) => numbers.join('\n');

it('shows what differs with three lines around it', () => {
  const before = lines(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20);
  const after = lines(1, 2, 3, 4, 'five', 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21);
  expect(unifiedDiff(before, after)).toBe(
    lines(
      '@@ -2,7 +2,7 @@',
      ' 2',
      ' 3',
      ' 4',
      '-5',
      '+five',
      ' 6',
      ' 7',
      ' 8',
      '@@ -16,5 +16,5 @@',
      ' 16',
      ' 17',
      ' 18',
      '-19',
      ' 20',
      '+21',
    ),
  );
});

it('shows a new text whole, and nothing for what is the same', () => {
  expect(unifiedDiff('', 'a\nb')).toBe('@@ -1,0 +1,2 @@\n+a\n+b');
  expect(unifiedDiff('a\nb', 'a\nb')).toBe('');
});
