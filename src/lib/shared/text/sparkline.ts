/** Eighths of a cell, from the least to the most. */
const bars = '▁▂▃▄▅▆▇█';

/**
 * The last values as bars of one column each, the largest of them full; fewer values than `width` leave the left side empty.
 *
 * @param values not negative, oldest first
 */
export function sparkline(values: readonly number[], width: number): string {
  const shown = width <= 0 ? [] : values.slice(-width);
  const most = Math.max(...shown, 0);
  const bar = (value: number): string => bars[most === 0 ? 0 : Math.round((value / most) * (bars.length - 1))] ?? '';
  return shown.map(bar).join('').padStart(Math.max(0, width));
}

/**
 * How many of the moments fell into each of the last spans of time, the latest last.
 *
 * @param moments in ms since the epoch
 */
export function perSpan(moments: readonly number[], now: number, spanMs: number, count: number): number[] {
  const spans = new Array<number>(count).fill(0);
  for (const moment of moments) {
    const ago = Math.floor(Math.max(0, now - moment) / spanMs);
    if (ago < count) spans[count - 1 - ago] = (spans[count - 1 - ago] ?? 0) + 1;
  }
  return spans;
}
