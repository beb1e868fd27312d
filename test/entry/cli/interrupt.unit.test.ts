import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Interrupts } from '../../../src/entry/cli/interrupt.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

it('counts signals: the first asks, the second insists, the third gives up waiting', () => {
  const before = process.listenerCount('SIGINT');
  const heard: string[] = [];
  {
    using interrupts = new Interrupts((count, signal) => heard.push(`${count} ${signal}`));
    expect(interrupts.exitCode).toBe(0);
    process.emit('SIGTERM');
    expect(interrupts.signal.aborted).toBe(true);
    process.emit('SIGINT');
    expect(interrupts.impatient.aborted).toBe(false);
    vi.advanceTimersByTime(249);
    process.emit('SIGINT');
    expect(interrupts.impatient.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    process.emit('SIGINT');
    expect(interrupts.impatient.aborted).toBe(true);
    expect(interrupts.first).toBe('SIGTERM');
    expect(interrupts.exitCode).toBe(143);
  }
  expect(heard).toEqual(['1 SIGTERM', '2 SIGINT', '3 SIGINT']);
  expect(process.listenerCount('SIGINT')).toBe(before);
});
