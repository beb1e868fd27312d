import { custom } from '@oclif/core/flags';

const unitSeconds: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** @returns seconds of `90`, `90s`, `15m`, `1h` or `7d`; undefined for anything else */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})([smhd]?)$/.exec(text.trim());
  const factor = unitSeconds[match?.[2] ?? ''];
  return match?.[1] === undefined || factor === undefined ? undefined : Number(match[1]) * factor;
}

/** Seconds as they are written on the command line: `1h`, `10m`, `90s`. */
export function durationFlag(seconds: number): string {
  for (const unit of ['d', 'h', 'm']) {
    const factor = unitSeconds[unit] ?? 1;
    if (seconds >= factor && seconds % factor === 0) return `${seconds / factor}${unit}`;
  }
  return `${seconds}s`;
}

/** The longest wait that can be asked for, in seconds: the control API takes no more, and timers end at 24.8 days. */
export const longestWait = 86_400;

/** A length of time; its value is in seconds. `max` is the longest, in seconds. */
export const duration = custom<number, { readonly max?: number }>({
  helpValue: '<duration>',
  parse: async (text, _context, { max = Number.POSITIVE_INFINITY }) => {
    const seconds = parseDuration(text);
    if (seconds === undefined || seconds === 0)
      throw new Error(`Expected a duration such as 90s, 15m or 1h, got ${text.slice(0, 80)}`);
    if (seconds > max) throw new Error(`Expected at most ${durationFlag(max)}, got ${text.slice(0, 80)}`);
    return seconds;
  },
});

/**
 * @param now in ms since the epoch
 * @returns ms since the epoch for an ISO 8601 date or time, or for how long ago (never before the epoch, since longer ago
 *   than dates reach means everything); undefined for anything else
 */
export function parseMoment(text: string, now: number): number | undefined {
  const ago = parseDuration(text);
  if (ago !== undefined) return Math.max(0, now - ago * 1000);
  // Date.parse alone takes nearly everything for a date: "-1" is one in 2001.
  if (!/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** A moment: a date, a time (ISO 8601), or how long ago. */
export const moment = custom<Date>({
  helpValue: '<time>',
  parse: async (text) => {
    const time = parseMoment(text, Date.now());
    if (time === undefined) {
      throw new Error(`Expected a time such as 2026-01-31T12:00Z, or 1h for an hour ago, got ${text.slice(0, 80)}`);
    }
    return new Date(time);
  },
});
