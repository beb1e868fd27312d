/** The six fields of a schedule, seconds first. */
const FIELDS: readonly (readonly [name: string, low: number, high: number, words: readonly string[]])[] = [
  ['second', 0, 59, []],
  ['minute', 0, 59, []],
  ['hour', 0, 23, []],
  ['day of the month', 1, 31, []],
  ['month', 1, 12, ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']],
  ['day of the week', 0, 7, ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']],
];

/**
 * What is wrong with a cron expression of six fields (seconds first; `*`, lists, ranges, steps, English names of months
 * and days as crontab(5) has them); `undefined` when nothing is.
 */
export function cronFault(expression: string): string | undefined {
  const parts = expression.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) return `must have six fields, not ${parts.length}`;
  for (const [index, [name, low, high, words]] of FIELDS.entries()) {
    const items = (parts[index] ?? '').toLowerCase().split(',');
    if (!items.every((item) => isItem(item, low, high, words))) {
      return `has no ${name} from ${low} to ${high} in its field ${index + 1}`;
    }
  }
  return undefined;
}

function isItem(item: string, low: number, high: number, words: readonly string[]): boolean {
  const [range = '', step, ...more] = item.split('/');
  if (more.length > 0 || (step !== undefined && !(/^\d{1,2}$/.test(step) && Number(step) >= 1))) return false;
  if (range === '*') return true;
  const ends = range.split('-').map((end) => {
    const word = words.indexOf(end);
    return word === -1 ? (/^\d{1,2}$/.test(end) ? Number(end) : Number.NaN) : word + low;
  });
  const [from = Number.NaN, to = from] = ends;
  return ends.length <= 2 && from >= low && to <= high && from <= to;
}
